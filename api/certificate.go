package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificatePoll is how often certificate files are read. They are few and short, and reading them
// finds every way of changing them: written over, renamed into place, or behind a symbolic link
// that points elsewhere now.
const certificatePoll = 5 * time.Second

// protocols are what a client may ask for by ALPN (RFC 7301).
var protocols = []string{"h2", "http/1.1"}

// CertificateFiles is a certificate chain and its key in files. While it runs, a new pair in them
// replaces the old one for the connections that come; a bad one does not.
type CertificateFiles struct {
	log     *slog.Logger
	poll    time.Duration
	current atomic.Pointer[tls.Certificate]

	mu                sync.Mutex // guards what follows
	certFile, keyFile string
	loaded            [sha256.Size]byte // of what current was read from
}

// NewCertificateFiles reads the files for the first time.
func NewCertificateFiles(certFile, keyFile string, log *slog.Logger) (*CertificateFiles, error) {
	c := &CertificateFiles{certFile: certFile, keyFile: keyFile, log: log, poll: certificatePoll}
	certificate, sum, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read TLS_CERT_FILE and TLS_KEY_FILE: %w", err)
	}
	if err := inForce(certificate, time.Now()); err != nil {
		log.Warn("browsers will refuse the certificate in TLS_CERT_FILE", "error", err)
	}
	c.current.Store(certificate)
	c.loaded = sum
	return c, nil
}

// InForce returns why browsers refuse the present certificate at this moment.
func (c *CertificateFiles) InForce() error { return inForce(c.current.Load(), time.Now()) }

// Config returns a configuration for a server that presents the present pair.
func (c *CertificateFiles) Config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		NextProtos:     protocols,
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   cipherSuites,
	}
}

// cipherSuites are those of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325,
// section 4.2): none that encrypts in CBC mode. Those of TLS 1.3 are the library's.
var cipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Run implements Service: it looks for a new pair until ctx ends.
func (c *CertificateFiles) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	var bad bad
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			bad = c.reload(bad)
		}
	}
}

// bad is a pair that could not be taken. It is told about once, and only when it is still there at
// the next look: files that are being replaced do not fit for a moment.
type bad struct {
	sum      [sha256.Size]byte
	text     string
	reported bool
}

func (c *CertificateFiles) reload(before bad) bad {
	c.mu.Lock()
	defer c.mu.Unlock()
	certificate, sum, err := readPair(c.certFile, c.keyFile)
	if err == nil && sum == c.loaded {
		return bad{}
	}
	if err == nil {
		err = inForce(certificate, time.Now())
	}
	if err != nil {
		now := bad{sum: sum, text: err.Error()}
		if now.sum == before.sum && now.text == before.text {
			if !before.reported {
				c.log.Error("the new certificate is bad: the old one stays in use", "error", err)
			}
			now.reported = true
		}
		return now
	}
	c.use(certificate, sum)
	return bad{}
}

// use has connections that come presented another pair. The caller holds the lock.
func (c *CertificateFiles) use(certificate *tls.Certificate, sum [sha256.Size]byte) {
	c.current.Store(certificate)
	c.loaded = sum
	c.log.Info("a new certificate is in use", "ends", certificate.Leaf.NotAfter)
}

// Open reads a pair from files now, which may be those of before. It returns what puts the pair in
// use and has these files looked at from then on; nothing is changed until that is called.
func (c *CertificateFiles) Open(certFile, keyFile string) (apply func(), err error) {
	certificate, sum, err := readPair(certFile, keyFile)
	if err == nil {
		err = inForce(certificate, time.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE: %w", err)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.certFile, c.keyFile = certFile, keyFile
		if sum != c.loaded {
			c.use(certificate, sum)
		}
	}, nil
}

// readPair reads a pair, and the sum of what it read, as far as it came.
func readPair(certFile, keyFile string) (*tls.Certificate, [sha256.Size]byte, error) {
	var none [sha256.Size]byte
	certText, err := os.ReadFile(certFile)
	if err != nil {
		return nil, none, err
	}
	keyText, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, none, err
	}
	sum := sha256.Sum256(bytes.Join([][]byte{certText, keyText}, []byte{0}))
	certificate, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, sum, err
	}
	return &certificate, sum, nil
}

// inForce says what is wrong with a certificate's time.
func inForce(certificate *tls.Certificate, now time.Time) error {
	switch leaf := certificate.Leaf; {
	case leaf == nil:
		return errors.New("there is no certificate in the file")
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it ended at %s", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it begins at %s", leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}
