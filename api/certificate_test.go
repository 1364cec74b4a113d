package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// pair is a certificate and its key as PEM.
type pair struct{ cert, key []byte }

// newPair makes one with a serial number, that ends at a time.
func newPair(t *testing.T, serial int64, ends time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: ends.Add(-24 * time.Hour), NotAfter: ends, DNSNames: []string{"a.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// journal is a log that says when it has grown.
type journal struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.grown)
	j.grown = make(chan struct{})
	return j.text.Write(p)
}

// await waits until words were logged n times.
func (j *journal) await(t *testing.T, words string, n int) {
	t.Helper()
	late := time.After(patience)
	for {
		j.mu.Lock()
		text, grown := j.text.String(), j.grown
		j.mu.Unlock()
		if got := strings.Count(text, words); got == n {
			return
		} else if got > n {
			t.Fatalf("%q is logged %d times, want %d:\n%s", words, got, n, text)
		}
		select {
		case <-grown:
		case <-late:
			t.Fatalf("%q is not logged %d times:\n%s", words, n, text)
		}
	}
}

// watched is a pair in files that are looked at all the time, behind a TLS server.
type watched struct {
	cert, key string
	log       *journal
	address   string
}

func watch(t *testing.T, first pair) *watched {
	t.Helper()
	dir := t.TempDir()
	w := &watched{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), log: &journal{grown: make(chan struct{})}}
	write(t, w.cert, first.cert)
	write(t, w.key, first.key)
	w.run(t)
	return w
}

func (w *watched) run(t *testing.T) {
	t.Helper()
	files, err := NewCertificateFiles(w.cert, w.key, slog.New(slog.NewTextHandler(w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	files.poll = time.Millisecond
	l, err := tls.Listen("tcp", "127.0.0.1:0", files.Config())
	if err != nil {
		t.Fatal(err)
	}
	w.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { files.Run(ctx) })
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { // an echo
				defer conn.Close()
				buffer := make([]byte, 1)
				for {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
					conn.Write(buffer)
				}
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); running.Wait() })
}

// serial connects and returns the number of the certificate that it is shown.
func (w *watched) serial(t *testing.T) (int64, *tls.Conn) {
	t.Helper()
	// only its number matters
	conn, err := tls.Dial("tcp", w.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), conn
}

func (w *watched) expect(t *testing.T, serial int64) {
	t.Helper()
	if got, _ := w.serial(t); got != serial {
		t.Errorf("certificate %d is shown, want %d", got, serial)
	}
}

const taken = "a new certificate is in use"

// replace puts a file where another is, as certbot's deploy hooks do.
func replace(t *testing.T, file string, text []byte) {
	t.Helper()
	write(t, file+".new", text)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestNewCertificateIsTaken(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(time.Hour)
	first, second, third := newPair(t, 1, ends), newPair(t, 2, ends), newPair(t, 3, ends)
	w := watch(t, first)
	serial, before := w.serial(t)
	if serial != 1 {
		t.Fatalf("certificate %d is shown first", serial)
	}
	write(t, w.cert, second.cert)
	write(t, w.key, second.key)
	w.log.await(t, taken, 1)
	w.expect(t, 2)
	replace(t, w.key, third.key)
	replace(t, w.cert, third.cert)
	w.log.await(t, taken, 2)
	w.expect(t, 3)
	before.SetDeadline(time.Now().Add(patience))
	if _, err := before.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := before.Read(make([]byte, 1)); err != nil {
		t.Errorf("a connection of before ends: %v", err)
	}
}

// TestCertificateBehindSwappedLink changes the pair as Kubernetes does: a link to a
// folder is renamed into place.
func TestCertificateBehindSwappedLink(t *testing.T) {
	t.Parallel()
	dir, ends := t.TempDir(), time.Now().Add(time.Hour)
	for i, name := range []string{"one", "two"} {
		p := newPair(t, int64(i+1), ends)
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "tls.crt"), p.cert)
		write(t, filepath.Join(dir, name, "tls.key"), p.key)
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("one", "..data")
	link("..data/tls.crt", "tls.crt")
	link("..data/tls.key", "tls.key")
	w := &watched{cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), log: &journal{grown: make(chan struct{})}}
	w.run(t)
	w.expect(t, 1)
	link("two", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	w.log.await(t, taken, 1)
	w.expect(t, 2)
}

// TestBadCertificateIsNotTaken has certificate and key in one file, so that every change is one.
func TestBadCertificateIsNotTaken(t *testing.T) {
	t.Parallel()
	ends := time.Now().Add(time.Hour)
	both := func(cert, key []byte) []byte { return append(bytes.Clone(cert), key...) }
	first, second, old := newPair(t, 1, ends), newPair(t, 2, ends), newPair(t, 3, time.Now().Add(-time.Hour))
	file := filepath.Join(t.TempDir(), "both.pem")
	write(t, file, both(first.cert, first.key))
	w := &watched{cert: file, key: file, log: &journal{grown: make(chan struct{})}}
	w.run(t)
	const refused = "the old one stays in use"
	for n, spoil := range []func(){
		func() { replace(t, file, []byte("garbage")) },
		func() { replace(t, file, both(second.cert, first.key)) },
		func() { replace(t, file, both(old.cert, old.key)) },
		func() { os.Remove(file) },
	} {
		spoil()
		w.log.await(t, refused, n+1)
		w.expect(t, 1)
	}
	replace(t, file, both(second.cert, second.key))
	w.log.await(t, taken, 1)
	w.expect(t, 2)
	w.log.await(t, refused, 4) // each was told once
}

func TestCertificateAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, other, old := newPair(t, 1, time.Now().Add(time.Hour)), newPair(t, 2, time.Now().Add(time.Hour)), newPair(t, 3, time.Now().Add(-time.Hour))
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	log := &journal{grown: make(chan struct{})}
	for name, test := range map[string]struct {
		cert, key []byte
		good      bool
	}{
		"a good one": {good.cert, good.key, true}, "another's key": {good.cert, other.key, false},
		"garbage": {[]byte("garbage"), good.key, false}, "nothing": {nil, nil, false}, "one that has ended": {old.cert, old.key, true},
	} {
		write(t, cert, test.cert)
		write(t, key, test.key)
		if _, err := NewCertificateFiles(cert, key, slog.New(slog.NewTextHandler(log, nil))); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && (!strings.Contains(err.Error(), "TLS_CERT_FILE") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %q is not one line that names the setting", name, err)
		}
	}
	log.await(t, "browsers will refuse", 1)
	if _, err := NewCertificateFiles(cert, net.JoinHostPort(dir, "no"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that is not there is taken")
	}
}
