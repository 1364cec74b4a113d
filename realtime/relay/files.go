package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// Files are names of PEM files for TLS; each may be empty. They are read for each connection, so
// that what is renewed counts without a restart.
type Files struct {
	CA   string // certificates of who signed that of Redis; without it those of the machine count
	Cert string // this server's own certificate, where Redis asks for one
	Key  string // and its private key
}

// check reports what is wrong with the files before anybody connects.
func (f Files) check(secure bool) error {
	if !secure && f != (Files{}) {
		return errors.New("REDIS_CA_FILE, REDIS_CERT_FILE and REDIS_KEY_FILE are for TLS: write REDIS_URL with rediss:// or valkeys://")
	}
	if (f.Cert == "") != (f.Key == "") {
		return errors.New("REDIS_CERT_FILE and REDIS_KEY_FILE belong together: set both, or neither")
	}
	_, err := f.config()
	return err
}

// config reads the files.
func (f Files) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, misconfigured{fmt.Errorf("REDIS_CA_FILE: %w", err)}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, misconfigured{fmt.Errorf("REDIS_CA_FILE: %s holds no certificate in PEM", f.CA)}
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, misconfigured{fmt.Errorf("REDIS_CERT_FILE and REDIS_KEY_FILE: %w", err)}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// dial connects by TLS.
func (f Files) dial(ctx context.Context, network, host string, dialer *net.Dialer) (net.Conn, error) {
	config, err := f.config()
	if err != nil {
		return nil, err
	}
	secure := tls.Dialer{NetDialer: dialer, Config: config}
	return secure.DialContext(ctx, network, host)
}
