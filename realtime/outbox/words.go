package outbox

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// words are all that is said in one language. A test compares the languages.
type words struct {
	language string
	// kinds are titles by kind: of one, and of several, with %d.
	kinds map[string][2]string
	// months are the short names, January first, and between joins two days.
	months   [12]string
	between  string
	decimals string // the decimal sign, then that of thousands
	// and more, with %d
	more string
	// of mail
	hello, digestTitle, open, unsubscribe, why, whyLocked string
	// of a test
	testTitle, testBody string
}

// Languages are those that there are, the first one by default. A column of the database takes no
// other: one more needs a migration.
var Languages = []string{"pt-BR", "en", "es"}

var catalogues = map[string]*words{
	"pt-BR": {
		language: "pt-BR",
		kinds: map[string][2]string{
			"booking_created":   {"Nova reserva", "%d novas reservas"},
			"booking_cancelled": {"Reserva cancelada", "%d reservas canceladas"},
			"booking_changed":   {"Reserva alterada", "%d reservas alteradas"},
			"payment_received":  {"Pagamento recebido", "%d pagamentos recebidos"},
			"payout_sent":       {"Repasse enviado", "%d repasses enviados"},
			"overbooked":        {"Mais estadias do que vagas", "Mais estadias do que vagas, %d vezes"},
			"member_changed":    {"Acesso à conta alterado", "%d mudanças de acesso à conta"},
			"new_sign_in":       {"Novo acesso à sua conta", "%d novos acessos à sua conta"},
			"invitation":        {"Convite para uma conta", "%d convites para contas"},
			"to_confirm":        {"Reserva a confirmar", "%d reservas a confirmar"},
			"arrives_tomorrow":  {"Chegada amanhã", "%d chegadas amanhã"},
			"leaves_today":      {"Saída hoje", "%d saídas hoje"},
			"unpaid":            {"Reserva confirmada sem pagamento", "%d reservas confirmadas sem pagamento"},
			"occupancy_low":     {"Ocupação baixa nos próximos 7 dias", "Ocupação baixa nos próximos 7 dias"},
			"payout_tomorrow":   {"Repasse amanhã", "%d repasses amanhã"},
		},
		months: [12]string{"jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"}, between: " a ", decimals: ",.",
		more: "e mais %d", hello: "Olá", digestTitle: "Resumo: %d avisos", open: "Abrir", unsubscribe: "Não quero mais estes e-mails",
		why:       "Você recebe este e-mail porque escolheu ser avisado.",
		whyLocked: "Este aviso de segurança é enviado sempre.",
		testTitle: "Aviso de teste", testBody: "Os avisos chegam a este aparelho.",
	},
	"en": {
		language: "en",
		kinds: map[string][2]string{
			"booking_created":   {"New booking", "%d new bookings"},
			"booking_cancelled": {"Booking cancelled", "%d bookings cancelled"},
			"booking_changed":   {"Booking changed", "%d bookings changed"},
			"payment_received":  {"Payment received", "%d payments received"},
			"payout_sent":       {"Payout sent", "%d payouts sent"},
			"overbooked":        {"More stays than spaces", "More stays than spaces, %d times"},
			"member_changed":    {"Access to the account changed", "%d changes of access to the account"},
			"new_sign_in":       {"New sign-in to your account", "%d new sign-ins to your account"},
			"invitation":        {"Invitation to an account", "%d invitations to accounts"},
			"to_confirm":        {"Booking to be confirmed", "%d bookings to be confirmed"},
			"arrives_tomorrow":  {"Arrival tomorrow", "%d arrivals tomorrow"},
			"leaves_today":      {"Departure today", "%d departures today"},
			"unpaid":            {"Confirmed booking without payment", "%d confirmed bookings without payment"},
			"occupancy_low":     {"Low occupancy in the next 7 days", "Low occupancy in the next 7 days"},
			"payout_tomorrow":   {"Payout tomorrow", "%d payouts tomorrow"},
		},
		months: [12]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}, between: " to ", decimals: ".,",
		more: "and %d more", hello: "Hello", digestTitle: "Digest: %d notifications", open: "Open", unsubscribe: "I no longer want these e-mails",
		why:       "You receive this e-mail because you chose to be notified.",
		whyLocked: "This security notification is always sent.",
		testTitle: "Test notification", testBody: "This device receives notifications.",
	},
	"es": {
		language: "es",
		kinds: map[string][2]string{
			"booking_created":   {"Nueva reserva", "%d reservas nuevas"},
			"booking_cancelled": {"Reserva cancelada", "%d reservas canceladas"},
			"booking_changed":   {"Reserva modificada", "%d reservas modificadas"},
			"payment_received":  {"Pago recibido", "%d pagos recibidos"},
			"payout_sent":       {"Transferencia enviada", "%d transferencias enviadas"},
			"overbooked":        {"Más estadías que plazas", "Más estadías que plazas, %d veces"},
			"member_changed":    {"Cambió el acceso a la cuenta", "%d cambios de acceso a la cuenta"},
			"new_sign_in":       {"Nuevo acceso a su cuenta", "%d nuevos accesos a su cuenta"},
			"invitation":        {"Invitación a una cuenta", "%d invitaciones a cuentas"},
			"to_confirm":        {"Reserva por confirmar", "%d reservas por confirmar"},
			"arrives_tomorrow":  {"Llegada mañana", "%d llegadas mañana"},
			"leaves_today":      {"Salida hoy", "%d salidas hoy"},
			"unpaid":            {"Reserva confirmada sin pago", "%d reservas confirmadas sin pago"},
			"occupancy_low":     {"Ocupación baja en los próximos 7 días", "Ocupación baja en los próximos 7 días"},
			"payout_tomorrow":   {"Transferencia mañana", "%d transferencias mañana"},
		},
		months: [12]string{"ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"}, between: " al ", decimals: ",.",
		more: "y %d más", hello: "Hola", digestTitle: "Resumen: %d avisos", open: "Abrir", unsubscribe: "No quiero más estos correos",
		why:       "Recibe este correo porque eligió recibir avisos.",
		whyLocked: "Este aviso de seguridad se envía siempre.",
		testTitle: "Aviso de prueba", testBody: "Los avisos llegan a este dispositivo.",
	},
}

// wordsOf returns the words of a language, those of the first one where it is none of ours.
func wordsOf(language string) *words {
	if w := catalogues[language]; w != nil {
		return w
	}
	return catalogues[Languages[0]]
}

// title returns what a kind is called. A kind that is not known here is told by its name: a newer
// server made it.
func (w *words) title(kind string, count int) string {
	forms, known := w.kinds[kind]
	switch {
	case !known:
		return strings.ReplaceAll(kind, "_", " ")
	case count > 1 && strings.Contains(forms[1], "%d"):
		return fmt.Sprintf(forms[1], count)
	case count > 1:
		return forms[1]
	}
	return forms[0]
}

// days writes the days of a stay: "12 a 15 mar", "30 mar a 2 abr", "12 mar".
func (w *words) days(from, to time.Time) string {
	day := func(at time.Time, withMonth bool) string {
		text := strconv.Itoa(at.Day())
		if withMonth {
			text += " " + w.months[at.Month()-1]
		}
		return text
	}
	switch {
	case from.IsZero():
		return ""
	case to.IsZero() || from.Format(time.DateOnly) == to.Format(time.DateOnly):
		return day(from, true)
	}
	return day(from, from.Month() != to.Month() || from.Year() != to.Year()) + w.between + day(to, true)
}

// money writes an amount in BRL with two decimals, as PostgreSQL does: R$ 1.234,50.
func (w *words) money(amount string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	sign := ""
	if rest, negative := strings.CutPrefix(whole, "-"); negative {
		sign, whole = "-", rest
	}
	if whole == "" || strings.ContainsFunc(whole+cents, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + w.decimals[1:] + whole[i:]
	}
	return sign + "R$ " + whole + w.decimals[:1] + (cents + "00")[:2]
}

// maxLine is how many characters of a line that others wrote are told.
const maxLine = 120

// line returns a text that others wrote as one line: no line ends, no control characters, and none
// that turn the direction of what follows.
func line(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar:
			r = ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200d':
			continue
		}
		if n++; n > maxLine {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// joined joins parts that are not empty.
func joined(parts ...string) string {
	var list []string
	for _, part := range parts {
		if part != "" {
			list = append(list, part)
		}
	}
	return strings.Join(list, " · ")
}

// MailWords are what is said around a mail.
type MailWords struct{ Hello, Open, Unsubscribe, Why, WhyLocked string }

// WordsOfMail returns them in a language, in the first one of Languages where it is none of ours.
func WordsOfMail(language string) MailWords {
	w := wordsOf(language)
	return MailWords{w.hello, w.open, w.unsubscribe, w.why, w.whyLocked}
}
