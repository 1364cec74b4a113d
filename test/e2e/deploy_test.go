//lint:file-ignore SA1019 the library is frozen and still correct; this is one of the few files that know it

package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/api/issuertest"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// balancer is a proxy of deploy/ before three servers.
type balancer struct {
	file string
	// edit gives the file's text addresses and files of the test.
	edit func(text, address, certificate, key, folder string) string
	args func(file, folder string) []string
}

var balancers = map[string]balancer{
	"nginx": {"deploy/nginx.conf", func(text, address, certificate, key, folder string) string {
		text = strings.NewReplacer("443 ssl", address+" ssl", "/etc/ssl/live.portal.example.pem", certificate,
			"/etc/ssl/live.portal.example.key", key, "/var/log/nginx/hangarshare.log", filepath.Join(folder, "access.log")).Replace(text)
		paths := ""
		for _, path := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			paths += path + "_temp_path " + filepath.Join(folder, path) + ";\n"
		}
		return "daemon off;\nmaster_process off;\npid " + filepath.Join(folder, "pid") + ";\nerror_log stderr;\n" +
			"events { worker_connections 4096; }\nhttp {\n" + paths + text + "}\n"
	}, func(file, folder string) []string { return []string{"-c", file, "-p", folder, "-e", "stderr"} }},
	"haproxy": {"deploy/haproxy.cfg", func(text, address, certificate, key, folder string) string {
		both := filepath.Join(folder, "both.pem")
		var pem []byte
		for _, file := range []string{certificate, key} {
			part, err := os.ReadFile(file)
			if err != nil {
				panic(err) // harness has written it
			}
			pem = append(pem, part...)
		}
		if err := os.WriteFile(both, pem, 0o600); err != nil {
			panic(err)
		}
		return strings.NewReplacer("bind :443", "bind "+address, "/etc/ssl/live.portal.example.pem", both).Replace(text)
	}, func(file, _ string) []string { return []string{"-db", "-f", file} }},
	"caddy": {"deploy/Caddyfile", func(text, address, certificate, key, _ string) string {
		text = strings.NewReplacer("{$HOST:live.portal.example} {", "https://"+address+" {\n\ttls "+certificate+" "+key).Replace(text)
		return strings.Replace(text, "\n{\n", "\n{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n", 1)
	}, func(file, _ string) []string { return []string{"run", "--config", file, "--adapter", "caddyfile"} }},
}

// start runs the proxy of a name before servers, which take the places of those in its file in
// turn. It returns the proxy's address as https://…/ and a client that trusts it.
func (b balancer) start(t *testing.T, name string, servers ...string) (base string, client *http.Client) {
	t.Helper()
	program, libraries := harness.Installed(t, name)
	text, err := os.ReadFile(harness.Path(b.file))
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, pool := harness.NewCertificate(t)
	folder, address := t.TempDir(), harness.FreeAddress(t)
	edited := string(text)
	for i, documented := range []string{"127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"} {
		edited = strings.ReplaceAll(edited, documented, servers[i%len(servers)])
	}
	file := filepath.Join(folder, "proxy.conf")
	if err := os.WriteFile(file, []byte(b.edit(edited, address, certFile, keyFile, folder)), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Launch(t, []string{"LD_LIBRARY_PATH=" + libraries, "HOME=" + folder, "XDG_DATA_HOME=" + folder, "XDG_CONFIG_HOME=" + folder},
		program, b.args(file, folder)...)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return "https://" + address + "/", &http.Client{Transport: transport}
}

// TestBalancersWhileTheDatabaseIsAway takes the database from three servers behind each balancer,
// so that none is ready. Their answers come through all the while: a browser's event stream, which
// never comes back after a 502 or 503, is told when to.
func TestBalancersWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	for name, b := range balancers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			portal := dbtest.New(t)
			o := portal.AddOwner(t, 1)
			p, through := harness.BeforeDatabase(t, portal.URL)
			var addresses []string
			for range 3 {
				server := harness.Serve(t, &dbtest.Portal{URL: through, Pool: portal.Pool}, "--trusted-proxies", "127.0.0.1",
					"--requests-per-minute-per-user", "0", "--requests-per-minute-per-address", "0")
				addresses = append(addresses, strings.TrimSuffix(strings.TrimPrefix(server.Base, "http://"), "/"))
			}
			base, client := b.start(t, name, addresses...)
			(&harness.Program{Base: base, Client: client}).Ready(t)
			token := harness.TokenFor(t, o.UserID, time.Hour)
			ask := func(path string, header http.Header) (status int, body string) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
				harness.Must(t, err)
				request.Header = header
				response, err := client.Do(request)
				harness.Must(t, err)
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				harness.Must(t, err)
				return response.StatusCode, string(text)
			}
			p.Set(harness.Refuse)
			p.Cut()
			harness.Eventually(t, "without the database", func() bool {
				status, _ := ask("api/owners/"+o.ID+"/bookings", harness.Bearer(token))
				return status >= http.StatusInternalServerError
			})
			// Each balancer's checks fail meanwhile.
			for begun := time.Now(); time.Since(begun) < 8*time.Second; {
				status, body := ask("api/owners/"+o.ID+"/bookings", harness.Bearer(token))
				if status != http.StatusServiceUnavailable || !strings.Contains(body, `"detail"`) {
					t.Fatalf("a request is answered by %d: %s", status, body)
				}
				status, body = ask("api/sse?ownerId="+o.ID, http.Header{"Cookie": {"jwt=" + token}})
				if status != http.StatusOK || !strings.Contains(body, `"retryMs"`) {
					t.Fatalf("a plain EventSource is answered by %d: %s", status, body)
				}
			}
		})
	}
}

// TestProxiesLetLargeTokensThrough sends a token of 12 KB, a stale one in a cookie, and streams,
// whose events come at once, through the proxies as deploy/ shows them.
func TestProxiesLetLargeTokensThrough(t *testing.T) {
	t.Parallel()
	for name, b := range balancers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSetup(t, "--trusted-proxies", "127.0.0.1")
			base, client := b.start(t, name, strings.TrimSuffix(strings.TrimPrefix(s.Base, "http://"), "/"))
			throughProxy(t, s, base, client)
		})
	}
}

// throughProxy uses a setup's server by the address of a proxy before it.
func throughProxy(t *testing.T, s harness.Setup, base string, client *http.Client) {
	t.Helper()
	outside := &harness.Program{Base: base, Client: client, Output: s.Output}
	outside.Ready(t)
	soon := time.Now().Add(time.Hour).Unix()
	groups := make([]string, 210)
	for i := range groups {
		groups[i] = fmt.Sprintf("%08x-2b34-4da1-9baa-8bc8c9d6a490-%d", i, i)
	}
	large := issuertest.Sign(t, jwa.HS256, []byte(harness.Secret), "", map[string]any{"sub": s.Owner.UserID, "exp": soon, "groups": groups})
	stale := "jwt=" + issuertest.Sign(t, jwa.HS256, []byte(harness.Secret), "", map[string]any{"sub": "1", "exp": 1, "groups": groups[:50]})
	query := "?ownerId=" + s.Owner.ID
	response, _ := outside.Call(t, "POST", "auth/ticket", large, map[string]any{}, "Cookie", stale, "Origin", strings.TrimSuffix(base, "/"))
	if response.StatusCode != http.StatusOK {
		t.Errorf("a token of %d bytes is answered by %s", len(large), response.Status)
	}
	sse := outside.Listen(t, large, query, "Cookie", stale)
	sse.Next(harness.OfType("connection_established"))
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(base, "http")+"api/ws"+query, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"hangarshare.v1", "bearer." + large}, HTTPHeader: http.Header{"Cookie": {stale}, "Origin": {strings.TrimSuffix(base, "/")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ws := harness.Follow(t, conn)
	ws.Next(harness.OfType("connection_established"))
	s.Portal.Book(t, s.Owner.Hangars[0], s.Guest)
	for _, stream := range []*harness.Stream{sse, ws} { // nothing is held back until there is more
		stream.Next(harness.OfType("booking_created"))
	}
}
