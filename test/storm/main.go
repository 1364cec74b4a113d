// Storm simulates how clients come back after a server, or all servers, have gone, and draws the
// curves of docs/scaling.md. It needs no server and no database: go run ./test/storm
//
// A simulation answers what a measurement on one machine cannot, such as a million clients. What
// one handshake and one question cost are measured figures that docs/scaling.md names.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"
)

// picture is one drawing of docs/: several storms, one curve each.
type picture struct {
	file, title string
	until       time.Duration // the end of the time axis
	scenarios   []scenario
}

// million is a million clients on twenty servers that were all restarted.
func million(name string, spread time.Duration) scenario {
	return scenario{name: name, clients: 1_000_000, spread: spread, handshakes: 40_000, queries: 20_000,
		patience: 10 * time.Second, shedding: true}
}

// restart is five thousand clients whose only server was killed.
func restart(name string, queriesEach float64, shedding bool) scenario {
	return scenario{name: name, clients: 5_000, spread: time.Second, handshakes: 2_000, queries: 4_500,
		queriesEach: queriesEach, patience: 10 * time.Second, shedding: shedding}
}

// pictures are drawn by main, and compared with docs/ by the tests.
var pictures = []picture{
	{"scaling-spread.svg", "A million clients, twenty servers restarted at once", 90 * time.Second, []scenario{
		million("spread over 5 s", 5*time.Second),
		million("spread over 30 s", 30*time.Second),
		million("spread over 60 s", 60*time.Second),
	}},
	{"scaling-queries.svg", "5,000 clients, one server killed: what a connection asks of PostgreSQL", 30 * time.Second, []scenario{
		restart("nothing: remembered", 0, true),
		restart("1 question", 1, true),
		restart("17 questions", 17, false),
	}},
	{"scaling-shedding.svg", "5,000 clients, 17 questions each: waiting in vain, or told when to come back", 60 * time.Second, []scenario{
		restart("kept waiting", 17, false),
		restart("told when to come back", 17, true),
	}},
}

func main() {
	folder := flag.String("docs", "docs", "where the pictures go")
	seed := flag.Uint64("seed", 1, "another seed is another storm")
	flag.Parse()
	fmt.Println("| storm | clients | p50 back | p99 back | last | in vain | told to come back |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, p := range pictures {
		outcomes := p.play(*seed)
		for i, o := range outcomes {
			fmt.Printf("| %s | %d | %s | %s | %s | %d | %d |\n", p.scenarios[i].name, p.scenarios[i].clients,
				seconds(o.quantile(0.5)), seconds(o.quantile(0.99)), seconds(o.quantile(1)), o.wasted, o.refused)
		}
		if err := os.WriteFile(filepath.Join(*folder, p.file), p.draw(outcomes), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// play simulates each of a picture's storms.
func (p picture) play(seed uint64) []outcome {
	var outcomes []outcome
	for _, s := range p.scenarios {
		outcomes = append(outcomes, simulate(s, seed))
	}
	return outcomes
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
