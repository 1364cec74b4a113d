package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
)

// through sends what Redis says through a guard, after as many questions as asked, and returns what
// came out.
func through(t *testing.T, questions, said string) (string, error) {
	t.Helper()
	here, there := net.Pipe()
	defer there.Close()
	g := newGuard(context.Background(), here)
	defer g.Close()
	go func() {
		io.CopyN(io.Discard, there, int64(len(questions))) //nolint:errcheck // the pipe is closed at the end
		io.WriteString(there, said)                        //nolint:errcheck // the guard may have closed it
		there.Close()
	}()
	for i := range questions { // byte by byte: a question may be written in any pieces
		if _, err := g.Write([]byte(questions[i : i+1])); err != nil {
			return "", err
		}
	}
	var out bytes.Buffer
	_, err := io.Copy(&out, g)
	return out.String(), err
}

const (
	ping      = "*1\r\n$4\r\nPING\r\n"
	subscribe = "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n"
	message   = ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"
)

func TestGuardPasses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ questions, said string }{
		"answers":       {ping + ping + ping, "+PONG\r\n:1\r\n-ERR no\r\n"},
		"messages":      {"", message + message + "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n"},
		"subscriptions": {subscribe, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n" + message},
		"a map":         {ping, "%2\r\n$1\r\na\r\n:1\r\n+b\r\n*2\r\n,1.5\r\n#t\r\n"},
		"nulls":         {ping + ping + ping, "_\r\n$-1\r\n*-1\r\n"},
		"a large one":   {"", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$262144\r\n" + strings.Repeat("x", 262144) + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := through(t, test.questions, test.said); err != nil || got != test.said {
				t.Errorf("%q came as %q: %v", test.said, got, err)
			}
		})
	}
}

// What nobody asked for and no library knows is left out, and harms nothing.
func TestGuardLeavesOut(t *testing.T) {
	t.Parallel()
	got, err := through(t, ping, ">2\r\n$10\r\ninvalidate\r\n*0\r\n+PONG\r\n")
	if err != nil || got != "+PONG\r\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"an answer to nothing":       "+OK\r\n",
		"a subscription to nothing":  ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
		"a negative length":          "$-5\r\n",
		"a length beyond all":        "$99999999999999999999\r\n",
		"a string that is too long":  "$10000000\r\n",
		"an array that is too long":  "*10000000\r\n",
		"a depth without end":        strings.Repeat("*1\r\n", 100),
		"an unknown type":            "?what\r\n",
		"a stream of chunks":         "$?\r\n;1\r\nx\r\n;0\r\n",
		"an attribute":               "|1\r\n+a\r\n+b\r\n+OK\r\n",
		"a line without an end":      strings.Repeat("x", 10_000),
		"a line of one character":    "+\n",
		"a string without an end":    "$2\r\nhixx",
		"a number that is none":      ":abc\r\n",
		"a boolean that is too long": "#true\r\n",
		"a null with content":        "_x\r\n",
		"much in little":             "*4096\r\n" + strings.Repeat("$262000\r\n"+strings.Repeat("x", 262000)+"\r\n", 3),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			questions := ping
			if strings.Contains(name, "to nothing") {
				questions = ""
			}
			if got, err := through(t, questions, said); !errors.Is(err, errProtocol) || got != "" {
				t.Errorf("%d bytes came out, and %v", len(got), err)
			}
		})
	}
}

// However Redis's bytes come, the guard neither panics nor hands on more than came.
func TestGuardAgainstChaos(t *testing.T) {
	t.Parallel()
	whole := []byte(message + "%1\r\n+a\r\n*2\r\n:1\r\n_\r\n$3\r\nabc\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n#t\r\n")
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		said := bytes.Clone(whole)
		for range 1 + random.IntN(4) {
			said[random.IntN(len(said))] = "$*>%:+-_#0123456789\r\n"[random.IntN(21)]
		}
		g := &guard{in: bufio.NewReaderSize(bytes.NewReader(said), maxLine), stop: func() bool { return true }, Conn: nothing{}}
		g.pending.Store(int64(random.IntN(4)))
		if out, _ := io.ReadAll(g); len(out) > len(said) {
			t.Errorf("%q became %q", said, out)
		}
	}
}

// nothing is a connection that can be closed.
type nothing struct{ net.Conn }

func (nothing) Close() error { return nil }
