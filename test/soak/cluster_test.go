package soak

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// between is what stands between several servers, and before them: a Redis, which each server
// reaches through a proxy of its own, and nginx as deploy/ shows it.
type between struct {
	redis   *redistest.Server
	proxies []*redistest.Proxy
	public  string // nginx's address

	busy sync.Mutex // held while something is wrong with Redis itself
}

// newBetween starts a Redis, and so many proxies before it. The test is skipped where this machine
// has none.
func newBetween(t testing.TB, servers int) *between {
	t.Helper()
	b := &between{redis: redistest.Start(t, "enable-debug-command yes")}
	for range servers {
		b.proxies = append(b.proxies, redistest.NewProxy(t, b.redis.Addr))
	}
	return b
}

// balance starts nginx before servers, which take the places of those in its file.
func (b *between) balance(t testing.TB, servers []*soakServer) {
	t.Helper()
	program, libraries := harness.Installed(t, "nginx")
	file, err := os.ReadFile(harness.Path("deploy/nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	b.public = harness.FreeAddress(t)
	folder := t.TempDir()
	var text strings.Builder
	for line := range strings.Lines(string(file)) {
		if strings.Contains(line, "ssl_certificate") { // it speaks plainly here, as the clients do
			continue
		}
		line = strings.NewReplacer("443 ssl http2", b.public, "/var/log/nginx/hangarshare.log", filepath.Join(folder, "access.log")).Replace(line)
		for i, documented := range []string{"127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"} {
			line = strings.ReplaceAll(line, documented, servers[i%len(servers)].address)
		}
		text.WriteString(line)
	}
	paths := ""
	for _, path := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += path + "_temp_path " + filepath.Join(folder, path) + ";\n"
	}
	conf := filepath.Join(folder, "nginx.conf")
	whole := "daemon off;\nmaster_process off;\npid " + filepath.Join(folder, "pid") + ";\nerror_log stderr crit;\n" +
		"events { worker_connections 4096; }\nhttp {\n" + paths + text.String() + "}\n"
	if err := os.WriteFile(conf, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Launch(t, []string{"LD_LIBRARY_PATH=" + libraries}, program, "-c", conf, "-p", folder, "-e", "stderr")
}

// clusterFaults are what else goes wrong where there are several servers.
var clusterFaults = []fault{
	{"server frozen and let go", freezing(func(s *soak, r *rand.Rand) []*soakServer { return []*soakServer{s.someServer(r)} })},
	{"all servers frozen and let go", freezing(func(s *soak, _ *rand.Rand) []*soakServer { return s.servers })},
	{"Redis kill -9, again empty", withRedis(func(s *soak, d time.Duration, done <-chan struct{}) {
		s.between.redis.Kill()
		rest(d, done)
		s.between.redis.Start()
	})},
	{"Redis frozen and let go", withRedis(func(s *soak, d time.Duration, done <-chan struct{}) {
		s.between.redis.Freeze()
		rest(d, done)
		s.between.redis.Thaw()
	})},
	{"Redis emptied", asking("FLUSHALL")},
	{"Redis without memory", asking("CONFIG SET maxmemory 1mb")},
	{"Redis asleep", asking("DEBUG SLEEP 1")},
	{"Redis connections killed", asking("CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE normal")},
	{"Redis network swallows", betweenRedis(func(*rand.Rand) redistest.Fault { return redistest.Fault{Drop: true} })},
	{"Redis network held", betweenRedis(func(*rand.Rand) redistest.Fault { return redistest.Fault{Hold: make(chan struct{})} })},
	{"Redis network late", betweenRedis(func(*rand.Rand) redistest.Fault { return redistest.Fault{Delay: 200 * time.Millisecond} })},
	{"Redis lies", betweenRedis(lying)},
}

// freezing stops the processes of some servers by SIGSTOP, for longer than a holder of the
// numbering may be silent, where that is what the plan has time for.
func freezing(which func(*soak, *rand.Rand) []*soakServer) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		servers := which(s, r)
		for _, server := range servers {
			server.signal(syscall.SIGSTOP)
		}
		rest(s.plan.frozen/2+upTo(r, s.plan.frozen/2), ctx.Done())
		for _, server := range servers {
			server.signal(syscall.SIGCONT)
		}
		return true
	}
}

// withRedis does something to Redis itself, unless something else is being done to it.
func withRedis(inject func(s *soak, d time.Duration, done <-chan struct{})) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		if !s.between.busy.TryLock() {
			return false
		}
		defer s.between.busy.Unlock()
		inject(s, upTo(r, s.plan.outage), ctx.Done())
		return true
	}
}

// asking has Redis run some commands.
func asking(commands ...string) func(context.Context, *soak, *rand.Rand) bool {
	return withRedis(func(s *soak, _ time.Duration, _ <-chan struct{}) {
		for _, command := range commands {
			s.between.redis.Ask(command)
		}
	})
}

// betweenRedis lets the way between one server and Redis misbehave for a while.
func betweenRedis(which func(*rand.Rand) redistest.Fault) func(context.Context, *soak, *rand.Rand) bool {
	return func(ctx context.Context, s *soak, r *rand.Rand) bool {
		proxy := s.between.proxies[r.IntN(len(s.between.proxies))]
		proxy.Set(which(r))
		rest(upTo(r, s.plan.outage), ctx.Done())
		proxy.Set(redistest.Fault{})
		return true
	}
}

// lying is a Redis that drops a tenth of what it is told, repeats, replays, flips bits and invents.
func lying(r *rand.Rand) redistest.Fault {
	var mu sync.Mutex // guards what follows, and the random numbers
	random := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
	var kept []byte
	return redistest.Fault{Lie: func(message []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		former := kept
		kept = append([]byte(nil), message...)
		switch random.IntN(10) {
		case 0:
			return nil
		case 1:
			return [][]byte{message, message}
		case 2:
			return [][]byte{former, message}
		case 3:
			flipped := append([]byte(nil), message...)
			flipped[random.IntN(len(flipped))] ^= 1 << random.IntN(8)
			return [][]byte{flipped}
		case 4:
			return [][]byte{[]byte(`{"ownerId":"1","type":"booking_created"}`), message}
		}
		return [][]byte{message}
	}}
}
