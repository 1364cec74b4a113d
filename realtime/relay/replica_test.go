package relay_test

import (
	"net"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/realtime/relay/redistest"
)

// What is published at a replica comes back from there and reaches no server at the master, as
// where a name leads to both in turn. It is not used, and said to be one.
func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := redistest.Start(t, "replicaof "+host+" "+port, "repl-diskless-sync-delay 0")
	for _, s := range []*redistest.Server{master, replica} {
		s.Do("ACL SETUSER hangarshare on >secret " + documentedRights)
	}
	a := start(t, "redis://hangarshare:secret@"+master.Addr, nodeOptions{})
	wrong := start(t, "redis://hangarshare:secret@"+replica.Addr, nodeOptions{})
	both := start(t, "redis://hangarshare:secret@"+replica.Addr+"?addr="+master.Addr, nodeOptions{})
	a.awaitProven()
	both.awaitProven()
	passes(both, 1, a)
	passes(a, 1000, both)
	wrong.await("the log says what to do", func() bool { return wrong.log.count("leads to a replica") > 0 })
	if wrong.Stats().Losses > 0 || wrong.Proven() {
		t.Error("a replica is relied on")
	}
	if err := both.Check(t.Context()); err != nil {
		t.Errorf("with the master as further address: %v", err)
	}
	if err := wrong.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "name the master") {
		t.Errorf("a replica alone: %v", err)
	}
	if err := newNode(t, "redis://hangarshare:secret@"+replica.Addr+"?protocol=2", nodeOptions{}).Check(t.Context()); err == nil {
		t.Error("a replica is not known by the former protocol")
	}
	// They change places, as by hand: connections live on.
	replica.Do("REPLICAOF NO ONE")
	host, port, _ = net.SplitHostPort(replica.Addr)
	master.Do("REPLICAOF " + host + " " + port)
	wrong.awaitProven()
	passes(both, 2000, wrong)
	passes(wrong, 3000, both)
	a.await("it leaves what is a replica now", func() bool { return !a.Proven() && a.log.count("leads to a replica") > 0 })
}

// In a cluster, a replica passes on to all nodes what is published.
func TestReplicaOfACluster(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t)
	a, b := start(t, "redis://"+nodes[0].Addr, nodeOptions{}), start(t, "redis://"+nodes[1].Addr, nodeOptions{})
	id := nodes[0].Do("CLUSTER MYID")
	a.await("a replica in the cluster", func() bool {
		return nodes[1].Ask("CLUSTER REPLICATE "+id) == "+OK" || strings.Contains(nodes[1].Ask("INFO replication"), "role:slave")
	})
	c := start(t, "redis://"+nodes[1].Addr, nodeOptions{})
	for _, n := range []*node{a, b, c} {
		n.awaitProven()
	}
	passes(a, 1, b, c)
	passes(c, 1000, a)
}

// What does not take the commands that are needed is told so.
func TestWithoutCommands(t *testing.T) {
	t.Parallel()
	for _, line := range []string{`rename-command PUBLISH ""`, `rename-command SUBSCRIBE ""`} {
		server := redistest.Start(t, line)
		if err := newNode(t, "redis://"+server.Addr, nodeOptions{}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "many a proxy does not") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
