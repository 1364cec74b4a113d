package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func BenchmarkX(b *testing.B) {
	var servers = strings.Fields(os.Getenv("X_SERVERS"))
	for b.Loop() {
		for round := range 2 {
			for _, kind := range servers {
				r := startFanout(b, kind)
				switch os.Getenv("X") {
				case "broadcast":
					r.connect("ws", 1000, 1)
					b.Logf("%d %s %+v", round, kind, r.measure(5*time.Second, func(u time.Time) { r.saturate(64, u) }))
				case "owners":
					r.connect("ws", 4000, 2000)
					b.Logf("%d %s %+v", round, kind, r.measure(5*time.Second, func(u time.Time) { r.saturate(64, u) }))
				case "latency":
					r.connect("ws", 1000, 1)
					b.Logf("%d %s %+v", round, kind, r.measure(5*time.Second, func(u time.Time) { r.steadily(10, u) }))
				case "latency2":
					r.connect("ws", 4000, 2000)
					b.Logf("%d %s %+v", round, kind, r.measure(5*time.Second, func(u time.Time) { r.steadily(5000, u) }))
				case "10k":
					r.connect("ws", 10000, 2000)
					b.Logf("%d %s %+v", round, kind, r.measure(10*time.Second, func(u time.Time) { r.steadily(20000, u) }))
				case "idle10k":
					r.connect(os.Getenv("X_T"), 10000, 2000)
					time.Sleep(5 * time.Second)
					b.Logf("%d %s %d: %.1f KiB", round, kind, 10000, float64(r.usage().rssKiB-r.base.rssKiB)/float64(10000))
					os.WriteFile("ready", nil, 0o600)
					time.Sleep(5 * time.Second)
					b.Logf("%d %s %d: %.1f KiB", round, kind, 10000, float64(r.usage().rssKiB-r.base.rssKiB)/float64(10000))
					r.stop()
					return
				case "idle", "idlesse":
					for _, n := range []int{1000, 5000, 10000} {
						tr := "ws"
						if os.Getenv("X") == "idlesse" {
							tr = "sse"
						}
						r.connect(tr, n, 2000)
						time.Sleep(5 * time.Second)
						b.Logf("%d %s %d: %.1f KiB", round, kind, n, float64(r.usage().rssKiB-r.base.rssKiB)/float64(n))
					}
				}
				r.stop()
			}
		}
		break
	}
}
