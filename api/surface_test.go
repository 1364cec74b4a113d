package api

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDescriptionsAreCompressedAndValidated asks for the description with and without
// what a client may have.
func TestDescriptionsAreCompressedAndValidated(t *testing.T) {
	t.Parallel()
	text := []byte("openapi: 3.0.3\ndescription: " + strings.Repeat("live numbers for hangar owners ", 200) + "\n")
	public, _ := surface(t, func(s *Server) { s.OpenAPI = text })
	for _, path := range []string{"/openapi.yaml", "/openapi.json"} {
		plain := ask(public, http.MethodGet, "localhost", path)
		packed := ask(public, http.MethodGet, "localhost", path, "Accept-Encoding", "gzip, br")
		refused := ask(public, http.MethodGet, "localhost", path, "Accept-Encoding", "gzip;q=0")
		tag := plain.Header().Get("ETag")
		if plain.Header().Get("Content-Encoding") != "" || refused.Header().Get("Content-Encoding") != "" || packed.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v, compressed %v", path, plain.Header(), packed.Header())
		}
		if !strings.HasPrefix(tag, `W/"`) || packed.Header().Get("ETag") != tag || plain.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: validators %v and %v", path, plain.Header(), packed.Header())
		}
		for _, answer := range []http.Header{plain.Header(), packed.Header()} {
			if !slices.Contains(answer.Values("Vary"), "Accept-Encoding") {
				t.Errorf("%s: varies by %q", path, answer.Values("Vary"))
			}
		}
		reader, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, err := io.ReadAll(reader); err != nil || !bytes.Equal(unpacked, plain.Body.Bytes()) {
			t.Errorf("%s: unpacked to %d bytes of %d, %v", path, len(unpacked), plain.Body.Len(), err)
		}
		held := ask(public, http.MethodGet, "localhost", path, "If-None-Match", tag, "Accept-Encoding", "gzip")
		if held.Code != http.StatusNotModified || held.Body.Len() != 0 || held.Header().Get("ETag") != tag {
			t.Errorf("%s: who has it gets %d, %d bytes, %v", path, held.Code, held.Body.Len(), held.Header())
		}
	}
}

func TestAllowNamesWhatWorks(t *testing.T) {
	t.Parallel()
	public, admin := surface(t, nil)
	for path, want := range map[string]string{
		"/healthz": "GET, HEAD, OPTIONS", "/openapi.yaml": "GET, HEAD, OPTIONS", "/api/auth/login": "POST, OPTIONS",
		"/api/owners/1/members": "GET, HEAD, POST, OPTIONS", "/api/owners/1/members/2": "PATCH, DELETE, OPTIONS",
		"/api/owners/1/metrics": "GET, HEAD, OPTIONS", "/api/owners/%31/metrics": "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"PUT", "TRACE", "PROPFIND", "OPTIONS"} {
			answer := ask(public, method, "localhost", path)
			status := http.StatusMethodNotAllowed
			if method == "OPTIONS" {
				status = http.StatusNoContent
			}
			if answer.Code != status || answer.Header().Get("Allow") != want {
				t.Errorf("%s %s: %d, Allow %q, want %d and %q", method, path, answer.Code, answer.Header().Get("Allow"), status, want)
			}
		}
	}
	for _, path := range []string{"/healthz", "/openapi.yaml"} {
		if answer := ask(public, http.MethodHead, "localhost", path); answer.Code != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, answer.Code)
		}
	}
	if answer := ask(admin, http.MethodPut, "localhost", "/healthz"); answer.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("the admin port allows %q", answer.Header().Get("Allow"))
	}
	if answer := ask(public, http.MethodOptions, "localhost", "/nothing"); answer.Code != http.StatusNotFound {
		t.Errorf("OPTIONS where nothing is: %d", answer.Code)
	}
}

func TestMalformedAddresses(t *testing.T) {
	t.Parallel()
	public, _ := surface(t, nil)
	for target, field := range map[string]string{
		"/healthz?%zz": "query", "/healthz?a=%": "query", "/healthz?a;b": "query", "/healthz?a=1;b=2": "query",
		"/healthz?limit=1%00": "limit", "/healthz?after=%ff": "after", "/healthz?status=a%0ab": "status", "/healthz?%00=1": "query", "/healthz?%ed%a0%80": "query",
		"/api/owners/1%00/metrics": "path", "/api/owners/%ff/metrics": "path", "/%c0%af": "path", "/healthz%0d%0aX-A:b": "path",
	} {
		answer := ask(public, http.MethodGet, "localhost", target)
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), `"field":"`+field+`"`) {
			t.Errorf("%s: %d %s, want 400 for %s", target, answer.Code, answer.Body, field)
		}
	}
	if answer := ask(public, http.MethodGet, "localhost", "/healthz?a="+url.QueryEscape("diária às 7h30 \u202e")); answer.Code != http.StatusOK {
		t.Errorf("text is refused: %d %s", answer.Code, answer.Body)
	}
}

// TestNoCipherWithoutAuthentication offers the server each suite of TLS 1.2 alone.
func TestNoCipherWithoutAuthentication(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1, time.Now().Add(time.Hour))
	certificate, err := tls.X509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	acme := (&ACME{}).Config()
	for name, config := range map[string]*tls.Config{"files": (&CertificateFiles{}).Config(), "ACME": acme} {
		config.GetCertificate, config.Certificates = nil, []tls.Certificate{certificate}
		listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				conn.(*tls.Conn).Handshake()
				conn.Close()
			}
		}()
		for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
				continue
			}
			conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
			if err == nil {
				conn.Close()
				if !strings.Contains(suite.Name, "_GCM_") && !strings.Contains(suite.Name, "_POLY1305_") || !strings.Contains(suite.Name, "ECDHE") {
					t.Errorf("%s: %s is accepted", name, suite.Name)
				}
			}
		}
		listener.Close()
		<-done
	}
}
