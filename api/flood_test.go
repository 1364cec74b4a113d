package api

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestRapidReset opens and cancels requests on one HTTP/2 connection without end
// (CVE-2023-44487): no more of them are served at a time than one connection may have,
// the connection ends, and others are served.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1, time.Now().Add(time.Hour))
	certificate, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	var running, most atomic.Int32
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	server := s.httpServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		now := running.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		<-release
		running.Add(-1)
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: protocols}))
		close(done)
	}()
	t.Cleanup(func() { server.Close(); <-done })
	t.Cleanup(func() { close(release) })

	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	goAway := make(chan http2.ErrCode, 1)
	go func() {
		defer close(goAway)
		reader := http2.NewFramer(io.Discard, conn)
		for {
			frame, err := reader.ReadFrame()
			if err != nil {
				return
			}
			if away, ok := frame.(*http2.GoAwayFrame); ok {
				goAway <- away.ErrCode
			}
		}
	}()
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for stream := uint32(1); ; stream += 2 {
		head.Reset()
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}} {
			encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true})
		if err == nil {
			err = framer.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() || stream > 1<<30 {
			t.Fatal("the server bears it")
		}
		if err != nil {
			break // the server has ended it
		}
	}
	if code, ok := <-goAway; ok && code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("the connection ends with %s", code)
	}
	if n := most.Load(); n == 0 || n > maxStreams {
		t.Errorf("%d requests of the connection were served at once, want up to %d", n, maxStreams)
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "a.example"}}}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + l.Addr().String() + "/quick")
	if err != nil {
		t.Fatalf("nobody else is served: %v", err)
	}
	response.Body.Close()
}
