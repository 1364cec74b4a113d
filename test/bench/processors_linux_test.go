package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// keepTo keeps this process on one processor until the benchmark ends.
func keepTo(tb testing.TB, cpu int) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := pin(os.Getpid(), processors()...); err != nil {
			tb.Error(err)
		}
	})
	if err := pin(os.Getpid(), cpu); err != nil {
		tb.Fatal(err)
	}
}

// keepPostgresTo keeps a PostgreSQL on one processor: what runs of it, and every session to come.
func keepPostgresTo(tb testing.TB, portal *dbtest.Portal, cpu int) {
	tb.Helper()
	var folder string
	if err := portal.Pool.Get(&folder, `SHOW data_directory`); err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "postmaster.pid"))
	if err != nil {
		tb.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		tb.Fatalf("no process in postmaster.pid: %v", err)
	}
	// The postmaster first, from which later ones have it.
	for _, process := range append([]int{postmaster}, childrenOf(tb, postmaster)...) {
		if err := pin(process, cpu); err != nil {
			tb.Fatal(err)
		}
	}
}

// childrenOf returns the processes that a process has begun and that still run: proc(5).
func childrenOf(tb testing.TB, parent int) (children []int) {
	tb.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		// The second field is a name in brackets that may hold anything, the fourth the parent.
		rest := string(text[strings.LastIndexByte(string(text), ')')+1:])
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				tb.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// processors returns all that this machine has.
func processors() (all []int) {
	for cpu := range runtime.NumCPU() {
		all = append(all, cpu)
	}
	return all
}

// pin keeps every thread of a process, and those to come, on some processors.
func pin(process int, cpus ...int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", process))
	if errors.Is(err, fs.ErrNotExist) { // it has ended
		return nil
	} else if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("keep process %d on processors %d: %w", process, cpus, err)
		}
	}
	return nil
}
