package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestProcessesThatDie has processes of this test die: one of a panic that is reported, and one of
// what nobody can recover from.
func TestProcessesThatDie(t *testing.T) {
	if file := os.Getenv("CRASH_FILE"); file != "" {
		die(file, os.Getenv("CRASH_BY"))
		return
	}
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data", "crash")
	run := func(by string) string {
		t.Helper()
		command := exec.Command(os.Args[0], "-test.run=^TestProcessesThatDie$")
		command.Env = append(os.Environ(), "CRASH_FILE="+file, "CRASH_BY="+by)
		text, err := command.CombinedOutput()
		if err == nil {
			t.Fatalf("%s: the process ended well: %s", by, text)
		}
		return string(text)
	}
	if text := run("panic"); !strings.Contains(text, "told of a part: out of luck") || !strings.Contains(text, "panic: out of luck") {
		t.Errorf("a panic is told so: %s", text)
	}
	if kept, err := os.ReadFile(file); err != nil || len(kept) > 0 {
		t.Errorf("a panic that was told is kept too: %v %s", err, kept)
	}
	run("map")
	earlier, err := Keep(file)
	if err != nil {
		t.Fatal(err)
	}
	if cause, functions := Summary(earlier); cause != unnamed && !strings.Contains(cause, "concurrent map writes") ||
		!slices.ContainsFunc(functions, func(name string) bool { return strings.Contains(name, "crash.die") }) {
		t.Errorf("kept was %q of %v: %s", cause, functions, earlier)
	}
	if again, err := Keep(file); err != nil || again != "" {
		t.Errorf("it is told twice: %v %s", err, again)
	}
}

// die ends this process.
func die(file, by string) {
	if _, err := Keep(file); err != nil {
		panic(err)
	}
	Tell(func(part string, cause any, stack []byte) {
		if strings.Contains(string(stack), "crash.die") {
			println("told of "+part+":", cause.(string))
		}
	})
	ended := make(chan struct{})
	if by == "panic" {
		go func() {
			defer Report("a part")
			panic("out of luck")
		}()
		<-ended
	}
	shared := map[int]int{}
	for range 2 {
		go func() {
			for {
				shared[1]++
			}
		}()
	}
	<-ended
}

func TestSummary(t *testing.T) {
	t.Parallel()
	const text = `panic: runtime error: index out of range [3] with length 2

goroutine 41 [running]:
example.org/handlers.(*Cache).get(0xc000123, {0xc0001, 0x5})
	/src/cache.go:12 +0x1d
example.org/handlers.serve({0x1, 0x2})
	/src/serve.go:40
created by example.org/api.(*Server).Serve in goroutine 1
	/src/server.go:7

goroutine 1 [select]:
main.main()
	/src/main.go:9
`
	cause, functions := Summary(text)
	want := []string{"example.org/handlers.(*Cache).get", "example.org/handlers.serve", "example.org/api.(*Server).Serve"}
	if cause != "panic: runtime error: index out of range [3] with length 2" || !slices.Equal(functions, want) {
		t.Errorf("%q %q", cause, functions)
	}
}
