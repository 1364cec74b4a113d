package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

const (
	// pebbleVersion is the version of Pebble, the ACME authority for tests of those who run Let's Encrypt.
	pebbleVersion = "v2.10.1"
	acmeHost      = "live.hangar.example"
)

// pebble builds the authority, and the name server that leads all hosts to this machine, once.
var pebble = sync.OnceValues(func() (dir string, err error) {
	if dir, err = filepath.Abs("bin"); err != nil {
		return "", err
	}
	const module = "github.com/letsencrypt/pebble/v2/cmd/"
	command := exec.Command("go", "install", module+"pebble@"+pebbleVersion, module+"pebble-challtestsrv@"+pebbleVersion)
	command.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install pebble: %w: %s", err, text)
	}
	return dir, nil
})

// launch runs a program until stop, or the end of the test.
func launch(t *testing.T, env []string, program string, args ...string) (out *output, stop func()) {
	t.Helper()
	out = newOutput()
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr, command.Env = out, out, append(os.Environ(), env...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		command.Process.Signal(syscall.SIGTERM)
		command.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, out)
		}
	})
	t.Cleanup(stop)
	return out, stop
}

// unusedAddress returns an address of this machine that nobody listens on, neither by TCP nor by UDP.
func unusedAddress(t *testing.T) (address string, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	packets, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	packets.Close()
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// authority is a running ACME authority whose challenges go to one port of this machine.
type authority struct {
	directory, certFile string
	roots               *x509.CertPool // what it signs with
	stop                func()
}

func startAuthority(t *testing.T, challenged int) authority {
	t.Helper()
	bin, err := pebble()
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, pool := certificate(t)
	names, _ := unusedAddress(t)
	address, _ := unusedAddress(t)
	management, _ := unusedAddress(t)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "managementListenAddress": management, "certificate": certFile, "privateKey": keyFile,
		"httpPort": 1, "tlsPort": challenged, "retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, nil, filepath.Join(bin, "pebble-challtestsrv"), "-dnsserver", names, "-defaultIPv6", "", "-http01", "", "-https01", "",
		"-tlsalpn01", "", "-doh", "", "-management", "")
	_, stop := launch(t, []string{"PEBBLE_VA_NOSLEEP=1"}, filepath.Join(bin, "pebble"), "-config", file, "-dnsserver", names)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(client.CloseIdleConnections)
	roots := x509.NewCertPool()
	eventually(t, "an authority", func() bool {
		response, err := client.Get("https://" + management + "/roots/0")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return err == nil && roots.AppendCertsFromPEM(text)
	})
	return authority{"https://" + address + "/dir", certFile, roots, stop}
}

// TestACME gets a certificate from a real authority, which proves that the host is ours by TLS-ALPN-01 on the server's own
// port, and finds it again after a restart without the authority.
func TestACME(t *testing.T) {
	t.Parallel()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	portal, dir := dbtest.New(t), t.TempDir()
	address, port := unusedAddress(t)
	authority := startAuthority(t, port)
	begin := func() (out *output, stop func()) {
		out, stop = launch(t, []string{"SSL_CERT_FILE=" + authority.certFile}, binary, "serve", "--no-demo", "--addr", address, "--admin-addr", "",
			"--database-url", portal.URL, "--jwt-secret", testSecret, "--data-dir", dir,
			"--acme-hosts", acmeHost, "--acme-email", "ops@hangar.example", "--acme-directory-url", authority.directory)
		out.await(t, "a certificate is in use")
		return out, stop
	}
	toServer := func(host string) (*tls.Conn, error) {
		return tls.Dial("tcp", address, &tls.Config{RootCAs: authority.roots, ServerName: host, NextProtos: []string{"h2"}})
	}
	serial := func() string {
		t.Helper()
		conn, err := toServer(acmeHost)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		state := conn.ConnectionState()
		if state.NegotiatedProtocol != "h2" {
			t.Errorf("the connection speaks %q", state.NegotiatedProtocol)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	_, stop := begin()
	first := serial()
	if conn, err := toServer("other.hangar.example"); err == nil {
		conn.Close()
		t.Error("a host that is not ours has a certificate")
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authority.roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	response, err := client.Get("https://" + acmeHost + ":" + strconv.Itoa(port) + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	client.CloseIdleConnections()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("answered by %s %s", response.Proto, response.Status)
	}
	kept, err := os.Stat(filepath.Join(dir, "acme", acmeHost))
	if err != nil {
		t.Fatal(err)
	}
	if kept.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the kept certificate and its key: %s", kept.Mode())
	}
	stop()
	authority.stop()
	begin()
	if again := serial(); again != first {
		t.Errorf("after a restart there is another certificate, %s and not %s", again, first)
	}
}

// TestACMEWithoutAuthority runs and stops all the same, and says what is wrong.
func TestACMEWithoutAuthority(t *testing.T) {
	t.Parallel()
	nobody, _ := unusedAddress(t)
	portal := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := newOutput()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "", "--database-url", portal.URL,
			"--jwt-secret", testSecret, "--data-dir", t.TempDir(), "--acme-hosts", acmeHost, "--acme-directory-url", "https://" + nobody + "/dir"}, out, out)
	}()
	out.await(t, `level=ERROR msg="no certificate from the ACME authority`)
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d:\n%s", got, out)
	}
}
