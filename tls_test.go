//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// certificate makes a key and a certificate for this machine that nobody else signed.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(certificate)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, pool
}

// TestTLS streams over HTTPS: a WebSocket over HTTP/1.1, and several event streams over one connection of HTTP/2.
func TestTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile, pool := certificate(t)
	trust := &tls.Config{RootCAs: pool}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	var connections atomic.Int32
	modern := &http.Client{Transport: &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connections.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}}}
	t.Cleanup(old.CloseIdleConnections)
	t.Cleanup(modern.CloseIdleConnections)
	portal := dbtest.New(t)
	o, guest := portal.AddOwner(t, 1), portal.AddGuest(t, "Caio", "Brandão")
	token := tokenFor(t, o.UserID, time.Hour)
	p := serveTo(t, portal, modern, "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--heartbeat-interval", "200ms")
	response, err := modern.Get(p.base + "healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.ProtoMajor != 2 || response.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("answered by %s with %v", response.Proto, response.Header)
	}
	ws := p.dial(t, "?ownerId="+o.ID, &websocket.DialOptions{HTTPClient: old, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	streams := []*stream{ws}
	for range 3 {
		streams = append(streams, p.listen(t, token, "?ownerId="+o.ID))
	}
	for _, stream := range streams {
		if hello := stream.next(nil); hello.Type != "connection_established" {
			t.Errorf("the first message is %s", hello.Type)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("HTTP/2 takes %d connections for 3 streams", n)
	}
	booking := portal.Book(t, o.Hangars[0], guest)
	for _, stream := range streams {
		if m := stream.next(isEvent); m.field("bookingId") != booking {
			t.Errorf("got %s", m.Data)
		}
		stream.next(of("heartbeat"))
	}
	stopped := make(chan int, 1)
	go func() { stopped <- p.stop() }()
	for _, stream := range streams {
		stream.next(of("server_closing"))
		if stream == ws {
			stream.end()
		} else if m := stream.next(of("error")); m.field("code") != "1001" {
			t.Errorf("an event stream ends with %s", m.Data)
		}
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d", code)
	}
}
