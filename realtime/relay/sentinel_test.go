package relay_test

import (
	"net"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
)

// A sentinel's word that there is another master is lost on its way, and the former master does not
// end its connections, since the sentinels cannot tell it either. What a server publishes there
// comes back, so nothing shows that the others are elsewhere.
func TestSentinelIsNotHeard(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := redistest.Start(t, "replicaof "+host+" "+port, "repl-diskless-sync-delay 0")
	for _, s := range []*redistest.Server{master, replica} {
		s.Do("ACL SETUSER hangarshare on >secret " + documentedRights + " +role")
	}
	sentinel := redistest.StartSentinel(t, "hangars", master)
	between := redistest.NewProxy(t, sentinel.Addr)
	deaf := start(t, "redis://hangarshare:secret@"+between.Addr+"?master_set=hangars", nodeOptions{})
	told := start(t, "redis://hangarshare:secret@"+sentinel.Addr+"?master_set=hangars", nodeOptions{})
	deaf.awaitProven()
	passes(deaf, 1, told)
	deaf.await("the sentinel knows the replica", func() bool {
		return strings.HasPrefix(sentinel.Ask("SENTINEL REPLICAS hangars"), "*1") && strings.Contains(replica.Ask("INFO replication"), "master_link_status:up")
	})
	between.Set(redistest.Fault{Lie: func([]byte) [][]byte { return nil }})
	master.Do("ACL SETUSER default -replicaof -slaveof -multi -exec -client|kill -config|rewrite")
	sentinel.Do("SENTINEL FAILOVER hangars")
	subscribed := func() int { return strings.Count(replica.Ask("CLIENT LIST TYPE pubsub"), "name=hangarshare") }
	told.await("both are at the new master", func() bool { return subscribed() == 2 })
	passes(deaf, 1000, told)
	passes(told, 2000, deaf)
	if role := master.Ask("INFO replication"); !strings.Contains(role, "role:master") {
		t.Errorf("the former master was told: %s", role)
	}
}

// documentedSentinelRights are those of the sentinels' user in docs/scaling.md.
const documentedSentinelRights = "resetchannels &* -@all +sentinel|sentinels +sentinel|get-master-addr-by-name +subscribe +unsubscribe +ping +hello +auth +client|setname"

// The documented users are enough for a master and its sentinels, and what another one lacks is
// said by the rights of the one that it is about.
func TestSentinelUsers(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	master.Do("ACL SETUSER hangarshare on >secret " + documentedRights + " +role")
	master.Do("ACL SETUSER lesser on >secret " + documentedRights)
	sentinel := redistest.StartSentinel(t, "hangars", master)
	sentinel.Do("ACL SETUSER asks on >word " + documentedSentinelRights)
	sentinel.Do("ACL SETUSER lesser on >word resetchannels &* -@all +subscribe +unsubscribe +ping +hello +auth +client|setname")
	url := func(user, asks string) string {
		name, password, _ := strings.Cut(asks, ":")
		return "redis://" + user + "@" + sentinel.Addr + "?master_set=hangars&sentinel_username=" + name + "&sentinel_password=" + password
	}
	n := start(t, url("hangarshare:secret", "asks:word"), nodeOptions{})
	n.awaitProven()
	passes(n, 1, n)
	for address, want := range map[string]string{
		url("lesser:secret", "asks:word"):        documentedRights + " +role",
		url("hangarshare:secret", "lesser:word"): "the sentinels' user may not do what is needed (NOPERM",
		url("hangarshare:secret", "asks:wrong"):  "also sentinel_username",
		url("hangarshare:wrong", "asks:word"):    "check REDIS_URL",
	} {
		if err := newNode(t, address, nodeOptions{}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
