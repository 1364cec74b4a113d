package relay_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db/seal"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay"
	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
)

// Whatever a Redis does that lies, nothing passes that the installation did not seal, and the relay
// lives.
func TestLyingRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	between := redistest.NewProxy(t, server.Addr)
	honest, deceived := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+between.Addr, nodeOptions{})
	honest.awaitProven()
	deceived.awaitProven()
	other, err := seal.New(bytes.Repeat([]byte{8}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Seal(seal.Parcel, other.EpochID(""), 900_001, []byte("forged"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	former, err := deceived.keys.Seal(seal.Parcel, deceived.keys.EpochID("former"), 900_002, []byte("another epoch's"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var old [][]byte
	lie := func(message []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if len(old) < 100 {
			old = append(old, message)
		}
		switch mathrand.IntN(8) {
		case 0:
			return nil // dropped
		case 1:
			return [][]byte{message, message} // repeated
		case 2:
			return [][]byte{old[mathrand.IntN(len(old))], message} // replayed
		case 3:
			flipped := bytes.Clone(message)
			flipped[mathrand.IntN(len(flipped))] ^= 1 << mathrand.IntN(8)
			return [][]byte{flipped}
		case 4:
			return [][]byte{foreign, former, message}
		case 5:
			return [][]byte{message[:mathrand.IntN(len(message))], []byte{}, bytes.Repeat([]byte{1}, 300)}
		}
		return [][]byte{message}
	}
	between.Set(redistest.Fault{Lie: lie})
	sent := int64(0)
	for deadline := time.Now().Add(patience); deceived.Stats().Forged < 5 || deceived.forgedParcels() < 50; {
		if sent++; time.Now().After(deadline) {
			t.Fatalf("%d heartbeats and %d parcels were found forged; the log:\n%s", deceived.Stats().Forged, deceived.forgedParcels(), deceived.log)
		}
		honest.send(sent)
		time.Sleep(2 * time.Millisecond) // a pace
	}
	deceived.mu.Lock()
	for number := range deceived.parcels {
		if number > sent {
			t.Errorf("parcel %d came, which nobody sent", number)
		}
	}
	deceived.mu.Unlock()
	if members := deceived.Members(); len(members) > 1 {
		t.Errorf("one other server sent heartbeats; heard are %+v", members)
	}
	between.Set(redistest.Fault{})
	deceived.awaitProven()
	passes(honest, 1_000_000, deceived)
}

func (n *node) forgedParcels() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.forged
}

// A Redis that breaks the protocol itself ends a connection, and nothing else.
func TestBrokenProtocol(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	between := redistest.NewProxy(t, server.Addr)
	honest, deceived := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+between.Addr, nodeOptions{})
	honest.awaitProven()
	deceived.awaitProven()
	between.Set(redistest.Fault{Flip: 0.01})
	for number := range int64(1500) {
		honest.send(number)
		time.Sleep(2 * time.Millisecond) // a pace
	}
	between.Set(redistest.Fault{})
	deceived.awaitProven()
	passes(honest, 1_000_000, deceived)
}

// Heartbeats that are held back for seconds and come then prove nothing, and bring no dead server
// back.
func TestReplayedHeartbeats(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	between := redistest.NewProxy(t, server.Addr)
	honest, deceived := start(t, "redis://"+server.Addr, nodeOptions{}), start(t, "redis://"+between.Addr, nodeOptions{})
	deceived.await("the other is heard", func() bool { return len(deceived.Members()) == 1 })
	var mu sync.Mutex
	var kept [][]byte
	between.Set(redistest.Fault{Lie: func(message []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, message)
		return [][]byte{kept[mathrand.IntN(min(10, len(kept)))], message}
	}})
	deceived.await("messages of both were kept", func() bool { mu.Lock(); defer mu.Unlock(); return len(kept) > 10 })
	honest.stop()
	deceived.await("the other is gone", func() bool { return len(deceived.Members()) == 0 })
	deceived.await("old ones were dropped", func() bool { return deceived.Stats().Stale > 3 })
	if len(deceived.Members()) != 0 {
		t.Error("a server that has gone is heard")
	}
	between.Set(redistest.Fault{Lie: func([]byte) [][]byte { // all but what is new
		mu.Lock()
		defer mu.Unlock()
		return kept[max(0, len(kept)-20):]
	}})
	deceived.awaitUnproven()
}

func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]redistest.Fault{
		"swallows":        {Drop: true},
		"holds":           {Hold: make(chan struct{})},
		"a byte a second": {Slow: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			between := redistest.NewProxy(t, server.Addr)
			far, near := start(t, "redis://"+between.Addr, nodeOptions{}), start(t, "redis://"+server.Addr, nodeOptions{})
			far.awaitProven()
			near.awaitProven()
			passes(near, 1, far)
			between.Set(f)
			far.awaitUnproven()
			for range 100 {
				far.send(1)
			}
			between.Set(redistest.Fault{})
			far.awaitProven()
			passes(near, 1000, far)
			passes(far, 2000, near)
		})
	}
	t.Run("200 ms late", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		between := redistest.NewProxy(t, server.Addr)
		between.Set(redistest.Fault{Delay: 200 * time.Millisecond})
		far := start(t, "redis://"+between.Addr, nodeOptions{})
		far.awaitProven()
		passes(far, 1, far)
	})
}

// documentedRights are those of the user in docs/scaling.md.
const documentedRights = "resetchannels &hangarshare:* -@all +publish +subscribe +unsubscribe +ping +hello +auth +client|setname"

func TestUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL SETUSER hangarshare on >secret " + documentedRights)
	server.Do("ACL SETUSER deaf on >secret resetchannels -@all +publish +subscribe +unsubscribe +ping +hello +auth +client|setname")
	a, b := start(t, "redis://hangarshare:secret@"+server.Addr, nodeOptions{}), start(t, "redis://"+server.Addr+"/5", nodeOptions{})
	a.awaitProven()
	b.awaitProven()
	passes(a, 1, b)
	passes(b, 1000, a)

	deaf := start(t, "redis://deaf:secret@"+server.Addr, nodeOptions{})
	deaf.await("the log says what is missing", func() bool { return deaf.log.count("resetchannels &hangarshare:* ") > 0 })
	server.Do("ACL SETUSER deaf &hangarshare:*")
	deaf.awaitProven()

	for _, user := range []string{"hangarshare:wrong", "nobody:secret"} {
		refused := newNode(t, "redis://"+user+"@"+server.Addr, nodeOptions{})
		if err := refused.Check(t.Context()); !errors.Is(err, relay.ErrRefused) || strings.Contains(err.Error(), "secret") {
			t.Errorf("the user %q: %v", user, err)
		}
	}
	if err := a.Check(t.Context()); err != nil {
		t.Errorf("the right user: %v", err)
	}
	// A password that is changed while the server runs.
	server.Do("ACL SETUSER hangarshare resetpass >other")
	server.Do("CLIENT KILL USER hangarshare")
	a.await("the log says that the password is refused", func() bool { return a.log.count("check REDIS_URL") > 0 })
	server.Do("ACL SETUSER hangarshare >secret")
	a.awaitProven()
}

// Valkey is reached as Redis is: by each of the schemes, with the documented user, TLS or not.
func TestValkey(t *testing.T) {
	t.Parallel()
	server := redistest.StartValkey(t)
	if hello := server.Do("INFO server"); !strings.Contains(hello, "server_name:valkey") {
		t.Fatalf("this is no Valkey: %s", hello)
	}
	server.Do("ACL SETUSER hangarshare on >secret " + documentedRights)
	a, b := start(t, "valkey://hangarshare:secret@"+server.Addr, nodeOptions{}), start(t, "redis://hangarshare:secret@"+server.Addr, nodeOptions{})
	local := start(t, "unix://"+server.Socket, nodeOptions{})
	for _, n := range []*node{a, b, local} {
		n.awaitProven()
	}
	passes(a, 1, b, local)
	passes(local, 1000, a, b)
	refused := newNode(t, "valkey://hangarshare:wrong@"+server.Addr, nodeOptions{})
	if err := refused.Check(t.Context()); !errors.Is(err, relay.ErrRefused) {
		t.Errorf("a wrong password: %v", err)
	}
	if got := server.Do("DBSIZE"); got != ":0" {
		t.Errorf("Valkey holds keys: %s", got)
	}
	losses := a.Stats().Losses
	server.Kill()
	a.await("it is lost", func() bool { return a.Stats().Losses > losses })
	server.Start()
	server.Do("ACL SETUSER hangarshare on >secret " + documentedRights)
	a.awaitProven()
	b.awaitProven()
	passes(b, 2000, a)

	own := newAuthority(t)
	cert, key := own.issue(t)
	secure := redistest.StartValkey(t, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+own.file, "tls-auth-clients no")
	n := start(t, "valkeys://"+secure.Addr, nodeOptions{files: relay.Files{CA: own.file}})
	n.awaitProven()
	passes(n, 1, n)
}

func TestPasswordAlone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass secret")
	start(t, "redis://:secret@"+server.Addr, nodeOptions{}).awaitProven()
	refused := newNode(t, "redis://"+server.Addr, nodeOptions{})
	if err := refused.Check(t.Context()); !errors.Is(err, relay.ErrRefused) {
		t.Errorf("without the password: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	n := newNode(t, "redis://"+server.Addr, nodeOptions{})
	err := n.Check(t.Context())
	if err == nil || errors.Is(err, relay.ErrRefused) || !strings.Contains(err.Error(), server.Addr) {
		t.Errorf("a Redis that is away: %v", err)
	}
	n.run()
	n.await("the log says so", func() bool { return n.log.count("Redis is away") == 1 })
	server.Start()
	n.awaitProven()
}

// What speaks the protocol of Redis 5: no HELLO, no pushes, a connection of its own for
// subscriptions.
func TestFormerProtocol(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, `rename-command HELLO ""`, "requirepass secret")
	a, b := start(t, "redis://:secret@"+server.Addr, nodeOptions{}), start(t, "redis://:secret@"+server.Addr, nodeOptions{})
	a.awaitProven()
	passes(a, 1, b)
	if err := newNode(t, "redis://:wrong@"+server.Addr, nodeOptions{}).Check(t.Context()); !errors.Is(err, relay.ErrRefused) {
		t.Errorf("a wrong password: %v", err)
	}
	server.Kill()
	a.awaitUnproven()
	server.Start()
	a.awaitProven()
	passes(b, 1000, a)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	own, foreign := newAuthority(t), newAuthority(t)
	cert, key := own.issue(t)
	server := redistest.Start(t, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+own.file, "tls-auth-clients no")
	for _, scheme := range []string{"rediss", "valkeys"} {
		n := start(t, scheme+"://"+server.Addr, nodeOptions{files: relay.Files{CA: own.file}})
		n.awaitProven()
		passes(n, 1, n)
	}
	mistrusting := start(t, "rediss://"+server.Addr, nodeOptions{files: relay.Files{CA: foreign.file}})
	mistrusting.await("the log says what to do", func() bool { return mistrusting.log.count("REDIS_CA_FILE") > 0 })
	if mistrusting.Proven() {
		t.Error("a server is believed whose certificate nobody vouches for")
	}
	if err := mistrusting.Check(t.Context()); err == nil || errors.Is(err, relay.ErrRefused) {
		t.Errorf("a foreign certificate: %v", err)
	}
}

// Redis asks its clients for certificates, as it does by default with TLS. They are read for each
// connection: one that is renewed counts without a restart.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	own, foreign := newAuthority(t), newAuthority(t)
	cert, key := own.issue(t)
	files := relay.Files{CA: own.file, Cert: cert, Key: key}
	server := redistest.Start(t, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+own.file)
	n := start(t, "rediss://"+server.Addr, nodeOptions{files: files})
	n.awaitProven()
	passes(n, 1, n)
	foreignCert, foreignKey := foreign.issue(t)
	for name, files := range map[string]relay.Files{
		"none": {CA: own.file}, "a foreign one": {CA: own.file, Cert: foreignCert, Key: foreignKey},
	} {
		if err := newNode(t, "rediss://"+server.Addr, nodeOptions{files: files}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "REDIS_CERT_FILE") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	renewed := start(t, "rediss://"+server.Addr, nodeOptions{files: relay.Files{CA: own.file, Cert: foreignCert, Key: foreignKey}})
	renewed.await("the log says what to do", func() bool { return renewed.log.count("REDIS_CERT_FILE") > 0 })
	for from, to := range map[string]string{cert: foreignCert, key: foreignKey} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	renewed.awaitProven()
	for _, bad := range []relay.Files{{Cert: cert}, {Key: key}, {Cert: cert, Key: foreign.file}, {Cert: "/does/not/exist", Key: key}} {
		if _, err := relay.ParseAddress("rediss://cache", bad); err == nil || !strings.Contains(err.Error(), "REDIS_CERT_FILE") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := redistest.Start(t, "replicaof "+host+" "+port, "repl-diskless-sync-delay 0")
	var sentinels []*redistest.Server
	for range 3 {
		sentinels = append(sentinels, redistest.StartSentinel(t, "hangars", master))
	}
	first := sentinels[2]
	url := "redis://" + sentinels[0].Addr + "?master_set=hangars&addr=" + sentinels[1].Addr + "&addr=" + first.Addr
	a, b := start(t, url, nodeOptions{}), start(t, url, nodeOptions{})
	a.awaitProven()
	passes(a, 1, b)
	a.await("the sentinels agree", func() bool {
		return strings.HasPrefix(first.Ask("SENTINEL CKQUORUM hangars"), "+OK 3") && strings.Contains(replica.Ask("INFO replication"), "master_link_status:up")
	})
	a.await("the sentinels know the replica", func() bool { return strings.HasPrefix(first.Ask("SENTINEL REPLICAS hangars"), "*1") })
	master.Kill()
	for _, s := range sentinels {
		s.FailOverSoon("hangars")
	}
	a.awaitUnproven()
	began := time.Now()
	a.awaitProven()
	b.awaitProven()
	for _, s := range sentinels {
		s.FailOverLate("hangars")
	}
	t.Logf("proven again %v after the master was lost", time.Since(began))
	passes(a, 1000, b)
	if got := replica.Ask("ROLE"); !strings.HasPrefix(got, "*3") {
		t.Errorf("the replica's role: %s", got)
	}
	// The former master comes back as a replica: what is published there reaches nobody.
	master.Start()
	a.await("the former master was told", func() bool { return strings.Contains(master.Ask("INFO replication"), "role:slave") })
	passes(b, 2000, a)

	unknown := newNode(t, strings.Replace(url, "hangars", "boats", 1), nodeOptions{})
	if err := unknown.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "boats") {
		t.Errorf("a master that the sentinels do not know: %v", err)
	}
}

// What a check finds wrong is said by what somebody has to change.
func TestCheckSaysWhatToChange(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL SETUSER mute on >secret resetchannels &hangarshare:* -@all +subscribe +unsubscribe +ping +hello +auth +client|setname")
	sentinel := redistest.StartSentinel(t, "hangars", server)
	own := newAuthority(t)
	cert, key := own.issue(t)
	secure := redistest.Start(t, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+own.file, "tls-auth-clients no")
	_, port, _ := net.SplitHostPort(secure.Addr)
	late := newAuthority(t)
	late.life = -time.Minute
	lateCert, lateKey := late.issue(t)
	expired := redistest.Start(t, "tls-cert-file "+lateCert, "tls-key-file "+lateKey, "tls-ca-cert-file "+late.file, "tls-auth-clients no")
	full := redistest.Start(t, "maxclients 2")
	for range 2 {
		start(t, "redis://"+full.Addr, nodeOptions{}).awaitProven()
	}
	// What answers, but not in TLS.
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	trusting := map[string]string{"rediss://localhost:" + port: own.file, "rediss://" + expired.Addr: late.file}
	for url, want := range map[string]string{
		"rediss://localhost:" + port:                         "announce-hostnames",
		"rediss://" + expired.Addr:                           "is not valid now",
		"redis://" + full.Addr:                               "maxclients",
		"redis://mute:secret@" + server.Addr:                 "+publish",
		"redis://" + sentinel.Addr:                           "add ?master_set=NAME",
		"redis://" + server.Addr + "?master_set=hangars":     "is no sentinel",
		"redis://" + secure.Addr:                             "takes connections without TLS",
		"rediss://" + strings.TrimPrefix(web.URL, "http://"): "does not speak TLS",
	} {
		if err := newNode(t, url, nodeOptions{files: relay.Files{CA: trusting[url]}}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// startCluster starts two nodes of a cluster, of which the first has met the second.
func startCluster(t *testing.T) (nodes [2]*redistest.Server) {
	t.Helper()
	var buses [2]string
	for i := range nodes {
		_, bus, _ := net.SplitHostPort(redistest.FreeAddress(t))
		nodes[i], buses[i] = redistest.Start(t, "cluster-enabled yes", "cluster-port "+bus), bus
	}
	host, port, _ := net.SplitHostPort(nodes[1].Addr)
	nodes[0].Do("CLUSTER MEET " + host + " " + port + " " + buses[1])
	return nodes
}

// What is published at one node of a cluster reaches the subscribers of all.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t)
	a := start(t, "redis://"+nodes[0].Addr+"?addr="+nodes[1].Addr, nodeOptions{})
	b := start(t, "redis://"+nodes[1].Addr+"?addr="+nodes[0].Addr, nodeOptions{})
	a.awaitProven()
	b.awaitProven()
	passes(a, 1, b)
	passes(b, 1000, a)
	nodes[0].Kill() // the other one is enough
	a.awaitUnproven()
	a.awaitProven()
	passes(a, 2000, b)
}

// A13 for the package: neither goroutines nor descriptors grow, and the log stays short.
func TestManyReconnects(t *testing.T) {
	server := redistest.Start(t)
	between := redistest.NewProxy(t, server.Addr)
	n := start(t, "redis://"+between.Addr, nodeOptions{})
	n.awaitProven()
	began := time.Now()
	between.Cut()
	n.await("it came back once", func() bool { return n.Stats().Losses >= 1 && n.Proven() })
	goroutines, descriptors := runtime.NumGoroutine(), openFiles(t)
	for round := uint64(2); round <= 40; round++ {
		between.Cut()
		n.await("it came back", func() bool { return n.Stats().Losses >= round && n.Proven() })
	}
	n.await("goroutines ended", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	n.await("descriptors were closed", func() bool { return openFiles(t) <= descriptors+6 })
	minutes := 1 + int(time.Since(began).Minutes())
	if got := n.log.count("\n"); got > 4*minutes {
		t.Errorf("40 losses gave %d lines of log:\n%s", got, n.log)
	}
	if got := n.log.count("again and again"); got == 0 || got > minutes {
		t.Errorf("40 short losses in %d minutes are told %d times:\n%s", minutes, got, n.log)
	}
}

// awayEnvironment holds how long TestRedisAwayForLong lasts; without it the test is left out.
const awayEnvironment = "REDIS_AWAY"

// A13 in its long form: half of the time Redis is killed, half of it stands still. Neither
// goroutines nor descriptors grow, and the log has a line a minute at most.
func TestRedisAwayForLong(t *testing.T) {
	text := os.Getenv(awayEnvironment)
	if text == "" {
		t.Skip(awayEnvironment + "=1h keeps Redis away for an hour")
	}
	whole, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t)
	n := start(t, "redis://"+server.Addr, nodeOptions{})
	n.awaitProven()
	for _, fault := range []struct {
		name       string
		begin, end func()
	}{{"killed", server.Kill, server.Start}, {"frozen", server.Freeze, server.Thaw}} {
		lines := n.log.count("\n")
		fault.begin()
		n.awaitUnproven()
		least, most := [2]int{1 << 30, 1 << 30}, [2]int{}
		tick := time.NewTicker(whole / 2 / 200)
		for range 200 {
			<-tick.C
			for i, count := range [2]int{runtime.NumGoroutine(), openFiles(t)} {
				least[i], most[i] = min(least[i], count), max(most[i], count)
			}
		}
		tick.Stop()
		told := n.log.count("\n") - lines
		t.Logf("%s for %v: %d to %d goroutines, %d to %d descriptors, %d lines of log", fault.name, whole/2, least[0], most[0], least[1], most[1], told)
		if most[0] > least[0]+10 || most[1] > least[1]+10 || told > int((whole/2).Minutes())+2 {
			t.Error("something grows")
		}
		fault.end()
		n.awaitProven()
	}
}

// A relay that was told to stop does so also while an attempt to connect hangs.
func TestStopsWhileConnecting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Freeze()
	n := start(t, "redis://"+server.Addr, nodeOptions{})
	n.await("it tried", func() bool { return n.log.count("Redis is away") > 0 })
	n.stop()
	server.Thaw()
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	nothing := filepath.Join(t.TempDir(), "nothing")
	if err := os.WriteFile(nothing, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, good := range []struct{ url, caFile, hosts string }{
		{"redis://localhost", "", "localhost:6379"},
		{"redis://user:p%40ss@cache:7000/3", "", "cache:7000"},
		{"rediss://cache", authority.file, "cache:6379"},
		{"redis://cache:7000/", "", "cache:7000"},
		{"redis://cache:7000/3/", "", "cache:7000"},
		{"redis://@cache", "", "cache:6379"},
		{"REDIS://cache", "", "cache:6379"},
		{"valkey://a:1?addr=b:2&addr=c&addr=[::1]", "", "a:1, b:2, c:6379, [::1]:6379"},
		{"valkeys://cache", "", "cache:6379"},
		{"unix:///run/redis.sock?db=1", "", "/run/redis.sock"},
		{"redis://s1:26379?master_set=m&addr=s2:26379&sentinel_password=x", "", "s1:26379, s2:26379"},
		{"redis://[::1]:7000", "", "[::1]:7000"},
	} {
		if a, err := relay.ParseAddress(good.url, relay.Files{CA: good.caFile}); err != nil || a.String() != good.hosts {
			t.Errorf("%s: %v, %v", good.url, a, err)
		}
	}
	for _, bad := range []struct{ url, caFile, says string }{
		{"http://cache", "", "REDIS_URL"},
		{"cache:6379", "", "REDIS_URL"},
		{"redis://", "", "names no host"},
		{"unix://", "", "names no socket"},
		{"redis://user:s3cret@cache:port", "", "REDIS_URL"},
		{"redis://user:s3cret%zz@cache", "", "REDIS_URL"},
		{"redis://cache/name", "", "REDIS_URL"},
		{"redis://cache?master=m", "", "master_set"},
		{"redis://user:p@s3cret/s3cret@cache", "", "%2F"},
		{"redis://user:p#s3cret@cache", "", "REDIS_URL"},
		{"redis://user:7#s3cret@cache", "", "%23"},
		{"redis://user:p?s3cret@cache", "", "REDIS_URL"},
		{"redis://user:7?s3cret@cache", "", "%3F"},
		{"redis://user:s3cret@cache/3/4", "", "database"},
		{"redis://cache/-1", "", "database"},
		{"redis://a:6379,b:6379", "", "addr="},
		{"redis://::1:6379", "", "[::1]"},
		{"redis://cache:99999", "", "host:6379"},
		{"redis://cache?addr=", "", "addr="},
		{"redis://cache?addr=::1", "", "[::1]"},
		{"redis://cache?addr=redis://b:6379", "", "addr="},
		{"redis://cache?addr=a;b", "", "parameters"},
		{"redis://cache?protocol=9", "", "protocol"},
		{"rediss://cache?skip_verify", "", "REDIS_CA_FILE"},
		{"rediss://cache?skip_verify=false", "", "REDIS_CA_FILE"},
		{"unix://run/redis.sock", "", "unix:///path"},
		{"unix:///", "", "names no socket"},
		{"redis://cache", authority.file, "rediss"},
		{"rediss://cache", "/does/not/exist", "REDIS_CA_FILE"},
		{"rediss://cache", nothing, "REDIS_CA_FILE"},
	} {
		_, err := relay.ParseAddress(bad.url, relay.Files{CA: bad.caFile})
		if err == nil || !strings.Contains(err.Error(), bad.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", bad.url, err)
		}
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list open files")
	}
	return len(entries)
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	file string // its own certificate
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	life time.Duration // for how long its certificates are valid from now on
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), life: time.Hour}
	a.cert, a.key = a.make(t, nil, nil)
	a.file = a.write(t, "ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

// issue returns the files of a certificate and its key.
func (a *authority) issue(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	cert, key := a.make(t, a.cert, a.key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, "cert.pem", "CERTIFICATE", cert.Raw), a.write(t, "key.pem", "PRIVATE KEY", raw)
}

func (a *authority) make(t testing.TB, by *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: fmt.Sprint("test ", by != nil)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(a.life), BasicConstraintsValid: true,
	}
	if by == nil {
		by, signer, template.IsCA, template.KeyUsage = template, key, true, x509.KeyUsageCertSign
	} else {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(t testing.TB, name, kind string, raw []byte) string {
	t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
