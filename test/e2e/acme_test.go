package e2e

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
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	// pebbleVersion is the version of Pebble, the ACME authority for tests of those who
	// run Let's Encrypt.
	pebbleVersion = "v2.10.1"
	acmeHost      = "live.hangar.example"
)

// pebble builds the authority, and the name server that leads all hosts to this machine, once.
var pebble = sync.OnceValues(func() (dir string, err error) {
	dir = harness.Path("bin")
	const module = "github.com/letsencrypt/pebble/v2/cmd/"
	command := exec.Command("go", "install", module+"pebble@"+pebbleVersion, module+"pebble-challtestsrv@"+pebbleVersion)
	// built as our own program is, so that Go's library is compiled once for both
	command.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-trimpath", "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install pebble: %w: %s", err, text)
	}
	return dir, nil
})

// authority is a running ACME authority whose challenges go to one port of this machine.
type authority struct {
	directory, certFile string
	roots               *x509.CertPool // what it signs with
	process             *harness.Process
}

func startAuthority(t *testing.T, challenged int) authority {
	t.Helper()
	bin, err := pebble()
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, pool := harness.NewCertificate(t)
	names, address, management := harness.FreeAddress(t), harness.FreeAddress(t), harness.FreeAddress(t)
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
	harness.Launch(t, nil, filepath.Join(bin, "pebble-challtestsrv"), "-dnsserver", names, "-defaultIPv6", "", "-http01", "", "-https01", "",
		"-tlsalpn01", "", "-doh", "", "-management", "")
	process := harness.Launch(t, []string{"PEBBLE_VA_NOSLEEP=1"}, filepath.Join(bin, "pebble"), "-config", file, "-dnsserver", names)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(client.CloseIdleConnections)
	roots := x509.NewCertPool()
	harness.Eventually(t, "an authority", func() bool {
		response, err := client.Get("https://" + management + "/roots/0")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return err == nil && roots.AppendCertsFromPEM(text)
	})
	return authority{"https://" + address + "/dir", certFile, roots, process}
}

// TestACME gets a certificate from a real authority, which proves that the host is ours by
// TLS-ALPN-01 on the server's own port, and finds it again after a restart without the authority.
// The host is one that the server answers for.
func TestACME(t *testing.T) {
	t.Parallel()
	binary, err := harness.Build()
	if err != nil {
		t.Fatal(err)
	}
	portal, dir := dbtest.New(t), t.TempDir()
	address := harness.FreeAddress(t)
	_, text, _ := strings.Cut(address, ":")
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	authority := startAuthority(t, port)
	begin := func() *harness.Process {
		process := harness.Launch(t, []string{"SSL_CERT_FILE=" + authority.certFile}, binary, harness.ServeFlags(portal.URL,
			"--addr", address, "--data-dir", dir, "--log-level", "info", "--allowed-hosts", "live.example",
			"--acme-hosts", acmeHost, "--acme-email", "ops@hangar.example", "--acme-directory-url", authority.directory)...)
		process.Output.Await(t, "a certificate is in use")
		return process
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
	server := begin()
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
	for host, want := range map[string]int{acmeHost: http.StatusOK, "live.example": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+acmeHost+":"+strconv.Itoa(port)+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want || response.ProtoMajor != 2 {
			t.Errorf("called %s it answers by %s %s, want %d", host, response.Proto, response.Status, want)
		}
	}
	client.CloseIdleConnections()
	kept, err := os.Stat(filepath.Join(dir, "acme", acmeHost))
	if err != nil {
		t.Fatal(err)
	}
	if kept.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the kept certificate and its key: %s", kept.Mode())
	}
	server.End(syscall.SIGTERM)
	authority.process.End(syscall.SIGTERM)
	begin()
	if again := serial(); again != first {
		t.Errorf("after a restart there is another certificate, %s and not %s", again, first)
	}
}

// TestACMEWithoutAuthority runs and stops all the same, and says what is wrong.
func TestACMEWithoutAuthority(t *testing.T) {
	t.Parallel()
	nobody := harness.FreeAddress(t)
	portal := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := harness.NewOutput()
	code := make(chan int, 1)
	go func() {
		code <- harness.Run(ctx, []string{"serve", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", "", "--database-url", portal.URL,
			"--jwt-secret", harness.Secret, "--data-dir", t.TempDir(), "--acme-hosts", acmeHost, "--acme-directory-url", "https://" + nobody + "/dir"}, out, out)
	}()
	out.Await(t, `level=ERROR msg="no certificate from the ACME authority`)
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d:\n%s", got, out)
	}
}
