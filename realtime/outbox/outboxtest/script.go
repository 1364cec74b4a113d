package outboxtest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// ScriptSteps are what a Script of a server with STARTTLS, a user and a password goes through.
// A plain one has neither STARTTLS, nor EHLO again, nor AUTH; of TLS from the start the first is
// TLS.
var ScriptSteps = []string{"greeting", "EHLO", "STARTTLS", "TLS", "EHLO again", "AUTH", "MAIL", "RCPT", "DATA", "dot", "QUIT"}

// Script is a mail server that says at each step what a test wants. A step without an entry gets
// the good reply; others are:
//
//	hang     it says nothing, until the client leaves
//	close    it ends the connection
//	drip     it gives the good reply in writes of one byte
//	endless  it goes on with a reply that never ends
//	wait     it gives the good reply after GoOn
//
// and anything else is said as it is. Reached has each step at which it hangs or waits, Left one
// value for each connection that has ended.
type Script struct {
	Address string
	Trust   *tls.Config
	Reached chan string
	Left    chan struct{}
	GoOn    chan struct{}

	steps       map[string]string
	kind        ScriptKind
	certificate tls.Certificate

	mu       sync.Mutex // guards what follows
	conns    []net.Conn
	commands []string
	texts    []string
}

// ScriptKind is how a Script encrypts.
type ScriptKind int

// The kinds of a Script. Plain has no AUTH, as no client may use it there.
const (
	Plain ScriptKind = iota
	STARTTLS
	Implicit
)

// NewScript starts a mail server that goes by a script.
func NewScript(t testing.TB, kind ScriptKind, steps map[string]string) *Script {
	t.Helper()
	s := &Script{steps: steps, kind: kind, Reached: make(chan string, 16), Left: make(chan struct{}, 1024), GoOn: make(chan struct{}, 16)}
	s.certificate, s.Trust = newCertificate()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address = listener.Addr().String()
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			group.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		group.Wait()
	})
	return s
}

// newCertificate returns that of the testing servers of net/http, which is for example.com and
// 127.0.0.1, and what trusts it.
func newCertificate() (tls.Certificate, *tls.Config) {
	certified := httptest.NewUnstartedServer(nil)
	certified.Config.ErrorLog = log.New(io.Discard, "", 0)
	certified.StartTLS()
	defer certified.Close()
	pool := x509.NewCertPool()
	pool.AddCert(certified.Certificate())
	return certified.TLS.Certificates[0], &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

// Commands returns what was said to the server, of AUTH and text only that they came.
func (s *Script) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

// Texts returns the mails that came whole, as they were on the wire, without the last dot.
func (s *Script) Texts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.texts...)
}

// serve speaks on a connection until it ends.
func (s *Script) serve(conn net.Conn) {
	raw := conn
	defer func() { raw.Close(); s.Left <- struct{}{} }()
	in, encrypted := bufio.NewReader(conn), false
	encrypt := func() bool {
		if s.steps["TLS"] != "" {
			return s.say(raw, in, "TLS", "")
		}
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.certificate}})
		in, encrypted = bufio.NewReader(conn), true
		return true
	}
	if s.kind == Implicit && !encrypt() || !s.say(conn, in, "greeting", "220 mail.example ESMTP") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(strings.ToUpper(line), " ")
		s.note(verb, line)
		good, step := "250 2.0.0 done", verb
		switch verb {
		case "EHLO":
			good = "250-mail.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"
			switch {
			case s.kind == STARTTLS && !encrypted:
				good += "250 STARTTLS"
			case encrypted:
				good += "250 AUTH LOGIN PLAIN"
			default:
				good += "250 PIPELINING"
			}
			if encrypted && s.kind == STARTTLS {
				step = "EHLO again"
			}
		case "STARTTLS":
			good = "220 2.0.0 go ahead"
		case "AUTH":
			good = "235 2.7.0 welcome"
		case "MAIL", "RCPT":
			if _, path, _ := strings.Cut(rest, ":"); !strings.HasPrefix(path, "<") {
				good = "501 5.5.4 Invalid Address"
			}
		case "DATA":
			good = "354 go ahead"
		case "QUIT":
			good = "221 2.0.0 bye"
		}
		if !s.say(conn, in, step, good) {
			return
		}
		switch {
		case verb == "QUIT", verb == "STARTTLS" && (s.steps[step] == "" || strings.HasPrefix(s.steps[step], "220")) && !encrypt():
			return
		case verb == "DATA" && (s.steps[step] == "" || s.steps[step] == "drip"):
			if !s.take(in) || !s.say(conn, in, "dot", "250 2.0.0 queued") {
				return
			}
		}
	}
}

func (s *Script) note(verb, line string) {
	if verb == "AUTH" {
		line = verb
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, line)
}

// take reads a mail up to its dot.
func (s *Script) take(in *bufio.Reader) bool {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, text.String())
	return true
}

// say does what the script has for a step, and reports whether the conversation goes on.
func (s *Script) say(out io.Writer, in io.Reader, step, good string) bool {
	good += "\r\n"
	switch does := s.steps[step]; does {
	case "":
	case "hang":
		s.Reached <- step
		io.Copy(io.Discard, in)
		return false
	case "close":
		return false
	case "drip":
		for i := range len(good) {
			if _, err := out.Write([]byte{good[i]}); err != nil {
				return false
			}
		}
		return true
	case "endless":
		code, more := good[:3], strings.Repeat("x", 200)
		for {
			if _, err := io.WriteString(out, code+"-"+more+"\r\n"); err != nil {
				return false
			}
		}
	case "wait":
		s.Reached <- step
		<-s.GoOn
	default:
		good = does + "\r\n"
	}
	_, err := io.WriteString(out, good)
	return err == nil
}
