package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestPicturesAreCurrent compares the pictures of docs with what the simulation draws.
func TestPicturesAreCurrent(t *testing.T) {
	for _, p := range pictures {
		drawn, err := os.ReadFile(filepath.Join("..", "..", "docs", p.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(drawn, p.draw(p.play(1))) {
			t.Errorf("docs/%s is another picture: go run ./test/storm draws it", p.file)
		}
	}
}

// TestSimulation compares storms with what can be told without one.
func TestSimulation(t *testing.T) {
	base := scenario{clients: 2_000, spread: 10 * time.Second, handshakes: 1e9, queries: 1e9, patience: time.Minute}
	near := func(got, want time.Duration) bool {
		return got > want*9/10 && got < want*11/10
	}
	for _, c := range []struct {
		name string
		set  func(*scenario)
		p50  time.Duration
		last time.Duration
	}{
		{"servers without a limit give back what the clients wait", func(*scenario) {}, 5 * time.Second, 10 * time.Second},
		{"a slow door lets one client in after the other", func(s *scenario) { s.handshakes = 50 }, 20 * time.Second, 40 * time.Second},
		{"so does a slow database", func(s *scenario) { s.queries, s.queriesEach = 100, 2 }, 20 * time.Second, 40 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base
			c.set(&s)
			o := simulate(s, 1)
			if len(o.back) != s.clients || !slices.IsSorted(o.back) {
				t.Fatalf("%d clients are back", len(o.back))
			}
			if !near(o.quantile(0.5), c.p50) || !near(o.quantile(1), c.last) || o.wasted+o.refused > 0 {
				t.Errorf("p50 %s, last %s, %d in vain, %d refused", o.quantile(0.5), o.quantile(1), o.wasted, o.refused)
			}
		})
	}
}

// TestSheddingWastesNothing has clients that give up, and servers that tell them before.
func TestSheddingWastesNothing(t *testing.T) {
	kept := simulate(restart("", 17, false), 1)
	told := simulate(restart("", 17, true), 1)
	if kept.wasted == 0 || told.wasted > 0 || told.refused == 0 {
		t.Errorf("in vain %d and %d, refused %d", kept.wasted, told.wasted, told.refused)
	}
	if told.quantile(1) >= kept.quantile(1) {
		t.Errorf("the last is back after %s and %s", kept.quantile(1), told.quantile(1))
	}
}
