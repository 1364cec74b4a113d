package bench

import (
	"fmt"
	"testing"
	"time"
)

// fanoutScenario is one way to load a server.
type fanoutScenario struct {
	name                string
	connections, owners int
	rate                float64 // messages a second; 0 keeps saturationWindow of them on their way
	servers             []string
	rounds              int
	turn                time.Duration
	eventStreams        bool // of ours; the others are measured as always
}

// saturationWindow is how many messages are on their way when a server is saturated.
const saturationWindow = 64

// BenchmarkFanout measures what a delivery costs and how long it takes, in a process of its own on
// one processor. It does so for the server, for bare sockets with one write per message, and for
// the WebSocket library used the usual way. All of them get the same messages of 300 bytes from the
// same pipe, and none has a database. CPU is seconds per million deliveries.
func BenchmarkFanout(b *testing.B) {
	all, floor := []string{rawServer, libraryServer, oursServer}, []string{rawServer, oursServer}
	few, many, rounds, crowdTurn := 1000, 10_000, benchRounds, time.Minute
	if testing.Short() {
		few, many, rounds, crowdTurn = 200, 1000, 1, time.Second
	}
	owners := many / 5
	for _, s := range []fanoutScenario{
		{"broadcast/saturated", few, 1, 0, all, rounds, turnTime(), false},
		{"broadcast/event-streams", few, 1, 0, floor, rounds, turnTime(), true},
		{"owners/saturated", 2 * owners, owners, 0, all, rounds, turnTime(), false},
		{"broadcast/steady", few, 1, 10_000 / float64(few), all, rounds, turnTime(), false},
		{"owners/steady", 2 * owners, owners, 5000, all, rounds, turnTime(), false},
		{"crowd/steady", many, owners, 10 * float64(owners), floor, 1, crowdTurn, false},
	} {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				s.run(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// run measures the servers in turn, round after round, and reports the medians and their
// ratios to bare sockets.
func (s fanoutScenario) run(b *testing.B) {
	perSecond, cpu := map[string][]float64{}, map[string][]float64{}
	p50, p99 := map[string][]float64{}, map[string][]float64{}
	for range s.rounds {
		for _, kind := range s.servers {
			r := startFanout(b, kind)
			transport := "ws"
			if s.eventStreams && kind == oursServer {
				transport = "sse"
			}
			r.connect(transport, s.connections, s.owners)
			result := r.measure(s.turn, func(until time.Time) {
				if s.rate > 0 {
					r.steadily(s.rate, until)
				} else {
					r.saturate(saturationWindow, until)
				}
			})
			r.stop()
			perSecond[kind] = append(perSecond[kind], result.perSecond)
			cpu[kind] = append(cpu[kind], result.cpuPerMillion)
			p50[kind] = append(p50[kind], float64(result.p50.Microseconds())/1000)
			p99[kind] = append(p99[kind], float64(result.p99.Microseconds())/1000)
		}
	}
	for _, metric := range []struct {
		name   string
		values map[string][]float64
	}{{"/s", perSecond}, {"-cpu-s/M", cpu}, {"-p50-ms", p50}, {"-p99-ms", p99}} {
		for _, kind := range s.servers {
			b.ReportMetric(middle(metric.values[kind]), kind+metric.name)
			if kind != rawServer {
				b.ReportMetric(middle(metric.values[kind])/middle(metric.values[rawServer]), kind+metric.name+"-ratio")
			}
		}
	}
}

// BenchmarkIdle measures the resident memory of a signed-in connection that nothing is sent to but
// heartbeats, settleTime after the last was opened.
func BenchmarkIdle(b *testing.B) {
	const settleTime = 5 * time.Second
	sizes := []int{1000, 5000, 10_000}
	if testing.Short() {
		sizes = sizes[:1]
	}
	for _, server := range []struct{ kind, transport string }{
		{rawServer, "ws"}, {libraryServer, "ws"}, {oursServer, "ws"}, {oursServer, "sse"},
	} {
		b.Run(server.kind+"/"+server.transport, func(b *testing.B) {
			for b.Loop() {
				r := startFanout(b, server.kind)
				for _, connections := range sizes {
					r.connect(server.transport, connections, sizes[0])
					<-time.After(settleTime)
					each := float64(r.usage().rssKiB-r.base.rssKiB) / float64(connections)
					b.ReportMetric(each, fmt.Sprintf("KiB-each-of-%d", connections))
				}
				r.stop()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
