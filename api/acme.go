package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/time/rate"

	"github.com/hangarshare/hangarshare-realtime/db/crash"
)

// ACMEOptions are the settings of ACME.
type ACMEOptions struct {
	Hosts     []string // what to get certificates for
	Email     string   // where the authority may write to; may be empty
	Directory string   // the authority's directory; Let's Encrypt's when empty
	Dir       string   // where account key and certificates are kept
	Log       *slog.Logger
}

// ACME gets certificates from an authority and renews them (RFC 8555). It proves that a
// host is ours on the connections of the server itself (TLS-ALPN-01, RFC 8737): the
// authority connects to the host at port 443.
type ACME struct {
	hosts   []string
	manager *autocert.Manager
	log     *slog.Logger
	failed  rate.Sometimes
	stopped chan struct{} // closed when nothing more is to be asked of the authority

	mu   sync.Mutex           // guards what follows
	ends map[string]time.Time // when the certificates end that were presented, by host
}

// authorityTimeout bounds every question to the authority, and so how long a stop waits for one.
const authorityTimeout = 10 * time.Second

var errStopped = errors.New("the server is stopping")

// untilStopped asks nothing once the server stops: the library has no other way to have it give up.
type untilStopped struct {
	http.RoundTripper
	stopped <-chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (u untilStopped) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-u.stopped:
		return nil, errStopped
	default:
		return u.RoundTripper.RoundTrip(r)
	}
}

// NewACME checks the options and makes the folder. Certificates are obtained by Run, or
// by the first connection.
func NewACME(o ACMEOptions) (*ACME, error) {
	for _, host := range o.Hosts {
		if strings.ContainsAny(host, "*/: ") || !strings.Contains(host, ".") || net.ParseIP(host) != nil {
			return nil, fmt.Errorf("ACME_HOSTS: %q is no full host name, like realtime.portal.example", host)
		}
	}
	if o.Directory == "" {
		o.Directory = acme.LetsEncryptURL
	}
	if u, err := url.Parse(o.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("ACME_DIRECTORY_URL: %q is no address of an authority: it begins with https://", o.Directory)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of certificates: %w", err)
	}
	stopped := make(chan struct{})
	asker := &http.Client{Timeout: authorityTimeout, Transport: untilStopped{http.DefaultTransport, stopped}}
	return &ACME{ends: make(map[string]time.Time),
		hosts: o.Hosts, log: o.Log, failed: rate.Sometimes{First: 1, Interval: time.Minute}, stopped: stopped,
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(o.Hosts...),
			Email: o.Email, Client: &acme.Client{DirectoryURL: o.Directory, HTTPClient: asker, UserAgent: "hangarshare-realtime"},
		},
	}, nil
}

// Config returns a configuration for a server that presents the certificates and answers
// the authority's challenges.
func (a *ACME) Config() *tls.Config {
	return &tls.Config{
		GetCertificate: a.certificate,
		NextProtos:     append(append([]string{}, protocols...), acme.ALPNProto),
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   cipherSuites,
	}
}

// Run implements Service: it sees to it that there is a certificate for every host before a client
// asks, and tells when there is none. Renewing is the library's.
func (a *ACME) Run(ctx context.Context) error {
	var obtaining sync.WaitGroup
	obtaining.Go(a.obtain)
	<-ctx.Done()
	close(a.stopped)
	obtaining.Wait()
	return nil
}

func (a *ACME) obtain() {
	defer crash.Report("certificates by ACME")
	for _, host := range a.hosts {
		// What present browsers offer; without it the library would get an RSA certificate.
		hello := &tls.ClientHelloInfo{ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
		if certificate, err := a.certificate(hello); err == nil {
			a.log.Info("a certificate is in use", "host", host, "ends", certificate.Leaf.NotAfter)
		}
	}
}

// certificate returns a host's certificate, and tells the operator now and then why there is none.
// What strangers ask for is no fault of the operator's.
func (a *ACME) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certificate, err := a.manager.GetCertificate(hello)
	if err == nil && certificate.Leaf != nil && slices.Contains(a.hosts, hello.ServerName) {
		a.mu.Lock()
		a.ends[hello.ServerName] = certificate.Leaf.NotAfter
		a.mu.Unlock()
	}
	challenge := slices.Contains(hello.SupportedProtos, acme.ALPNProto)
	if err != nil && !challenge && !errors.Is(err, errStopped) && a.manager.HostPolicy(context.Background(), hello.ServerName) == nil {
		a.failed.Do(func() {
			a.log.Error("no certificate from the ACME authority: the host must lead to this server's port 443", "host", hello.ServerName, "error", err)
		})
	}
	return certificate, err
}
