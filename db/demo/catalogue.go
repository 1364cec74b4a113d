package demo

// aerodrome is a place where aircraft are kept.
type aerodrome struct{ icao, name, city, state string }

// Brazilian aerodromes of general aviation, by their names in the national register.
var (
	campoDeMarte  = aerodrome{"SBMT", "Campo de Marte", "São Paulo", "SP"}
	jundiai       = aerodrome{"SBJD", "Comandante Rolim Adolfo Amaro", "Jundiaí", "SP"}
	braganca      = aerodrome{"SBBP", "Arthur Siqueira", "Bragança Paulista", "SP"}
	sorocaba      = aerodrome{"SDCO", "Bertram Luiz Leupolz", "Sorocaba", "SP"}
	amarais       = aerodrome{"SDAM", "Campo dos Amarais", "Campinas", "SP"}
	catarina      = aerodrome{"SBJH", "São Paulo Catarina", "São Roque", "SP"}
	pampulha      = aerodrome{"SBBH", "Pampulha - Carlos Drummond de Andrade", "Belo Horizonte", "MG"}
	juizDeFora    = aerodrome{"SBJF", "Francisco Álvares de Assis", "Juiz de Fora", "MG"}
	divinopolis   = aerodrome{"SNDV", "Brigadeiro Cabral", "Divinópolis", "MG"}
	uberlandia    = aerodrome{"SBUL", "Ten. Cel. Aviador César Bombonato", "Uberlândia", "MG"}
	jacarepagua   = aerodrome{"SBJR", "Jacarepaguá - Roberto Marinho", "Rio de Janeiro", "RJ"}
	bacacheri     = aerodrome{"SBBI", "Bacacheri", "Curitiba", "PR"}
	arapongas     = aerodrome{"SSOG", "Alberto Bertelli", "Arapongas", "PR"}
	blumenau      = aerodrome{"SSBL", "Quero-Quero", "Blumenau", "SC"}
	florianopolis = aerodrome{"SBFL", "Hercílio Luz", "Florianópolis", "SC"}
)

// hangarPlan is one of a demo owner's hangars.
type hangarPlan struct {
	number  string
	place   aerodrome
	size    int     // square metres
	rate    int64   // daily, in reais
	spaces  int     // aircraft at a time
	demand  float64 // share of the time that a space is taken
	retired bool    // closed for works
}

// ownerPlan is a demo owner.
type ownerPlan struct {
	company, firstName, lastName, login string
	hangars                             []hangarPlan
}

var ownerPlans = []ownerPlan{
	{"Aeroparque Paulista Hangaragem", "Helena", "Prado Sampaio", "helena.prado", []hangarPlan{
		{"MT-01", campoDeMarte, 320, 690, 1, .74, false},
		{"MT-02", campoDeMarte, 280, 620, 1, .70, false},
		{"MT-07", campoDeMarte, 900, 410, 4, .72, false},
		{"JD-03", jundiai, 450, 540, 1, .66, false},
		{"JD-11", jundiai, 1200, 330, 5, .68, false},
		{"BP-02", braganca, 380, 290, 2, .60, false},
		{"CT-05", catarina, 640, 980, 1, .62, false},
		{"SO-01", sorocaba, 700, 360, 3, .64, false},
		{"AM-04", amarais, 260, 310, 1, .60, true},
	}},
	{"Hangares da Pampulha", "Otávio", "Drummond Lage", "otavio.drummond", []hangarPlan{
		{"BH-A1", pampulha, 360, 610, 1, .72, false},
		{"BH-A2", pampulha, 360, 610, 1, .68, false},
		{"BH-B1", pampulha, 1400, 340, 6, .70, false},
		{"BH-C3", pampulha, 520, 450, 2, .66, false},
		{"JF-01", juizDeFora, 300, 260, 1, .58, false},
		{"DV-02", divinopolis, 420, 220, 3, .58, false},
		{"UL-06", uberlandia, 480, 380, 2, .64, false},
		{"UL-09", uberlandia, 250, 350, 1, .60, false},
	}},
	{"Costa Sul Aviação", "Beatriz", "Zimmermann", "beatriz.zimmermann", []hangarPlan{
		{"JR-12", jacarepagua, 340, 720, 1, .74, false},
		{"JR-14", jacarepagua, 980, 430, 4, .70, false},
		{"BI-01", bacacheri, 300, 390, 1, .66, false},
		{"BI-05", bacacheri, 760, 320, 3, .66, false},
		{"OG-02", arapongas, 400, 210, 2, .58, false},
		{"BL-01", blumenau, 280, 270, 1, .60, false},
		{"BL-03", blumenau, 620, 240, 3, .62, false},
		{"FL-08", florianopolis, 350, 580, 1, .70, false},
		{"FL-10", florianopolis, 350, 580, 1, .60, true},
	}},
}

// planOf returns the plan of a demo hangar.
func planOf(number string) (plan hangarPlan, known bool) {
	for _, owner := range ownerPlans {
		for _, hangar := range owner.hangars {
			if hangar.number == number {
				return hangar, true
			}
		}
	}
	return hangarPlan{}, false
}

// guestNames are the guests: pilots, owners of aircraft, and those who look after them.
var guestNames = [][2]string{
	{"João", "Albuquerque"}, {"Mariana", "Gonçalves"}, {"Antônio", "Figueiredo"}, {"Letícia", "Araújo"},
	{"Sérgio", "Magalhães"}, {"Cláudia", "Conceição"}, {"Luís", "Guimarães"}, {"Patrícia", "Brandão"},
	{"André", "Assunção"}, {"Fernanda", "Nóbrega"}, {"Márcio", "Falcão"}, {"Júlia", "Simões"},
	{"José Carlos", "Leitão"}, {"Débora", "Vasconcelos"}, {"Rogério", "Queirós"}, {"Ângela", "Batista"},
	{"Vinícius", "Paixão"}, {"Renata", "Mourão"}, {"Caio", "Bittencourt"}, {"Lúcia", "Fragoso"},
	{"Fábio", "Montenegro"}, {"Verônica", "Sant'Anna"}, {"Flávio", "Peçanha"}, {"Isabel", "Corrêa"},
	{"Gustavo", "Schneider"}, {"Mônica", "D'Ávila"}, {"Henrique", "Tavares"}, {"Tainá", "Ribeiro"},
	{"Ícaro", "Valença"}, {"Simone", "Hoffmann"}, {"Ubirajara", "Lacerda"}, {"Inês", "Camargo"},
	{"Élcio", "Yamamoto"}, {"Raíssa", "Pimentel"}, {"Thiago", "Sá"}, {"Adriana", "Toledo"},
	{"Zélia", "Menezes"}, {"Otto", "Krüger"}, {"Conceição", "Evangelista"}, {"Davi", "Nascimento"},
	{"Heloísa", "Bragança"}, {"Murilo", "Espíndola"},
}
