package release

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	yaml "github.com/oasdiff/yaml3"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// TestImage does what deploy/Dockerfile does, without an engine: it builds the program
// from the files that Dockerfile.dockerignore lets through, and runs it as its user in a
// folder that holds nothing else.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	t.Parallel()
	dockerfile, err := os.ReadFile(harness.Path("deploy/Dockerfile"))
	harness.Must(t, err)
	for _, line := range []string{`FROM scratch`, `USER 65532:65532`, `ENTRYPOINT ["/hangarshare"]`, `CMD ["serve", "--no-demo"]`} {
		if !strings.Contains(string(dockerfile), line+"\n") {
			t.Errorf("deploy/Dockerfile lacks %s", line)
		}
	}
	build := regexp.MustCompile(`(?m)^RUN (.*deploy/release binary )/hangarshare$`).FindSubmatch(dockerfile)
	if build == nil {
		t.Fatal("deploy/Dockerfile does not build by deploy/release")
	}
	source, root := t.TempDir(), t.TempDir()
	copyContext(t, source)
	program := filepath.Join(root, "hangarshare")
	command := exec.Command("sh", "-c", string(build[1])+program)
	command.Dir, command.Env = source, append(os.Environ(), "COMMIT="+commit)
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build[1], err, said)
	}
	binary, err := elf.Open(program)
	harness.Must(t, err)
	defer binary.Close()
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: it has %s", part.Type)
		}
	}
	if os.Getuid() != 0 {
		t.Log("only root may leave everything else outside: the program is not run")
		return
	}
	harness.Must(t, os.Chmod(root, 0o755))
	inside := exec.Command("/hangarshare", "version")
	inside.Dir = "/"
	inside.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if said, err := inside.CombinedOutput(); err != nil || !strings.Contains(string(said), "commit "+commit) {
		t.Errorf("by itself: %v %s", err, said)
	}
}

// copyContext copies what Dockerfile.dockerignore lets through.
func copyContext(t *testing.T, to string) {
	t.Helper()
	text, err := os.ReadFile(harness.Path("deploy/Dockerfile.dockerignore"))
	harness.Must(t, err)
	lines := strings.Fields(string(text))
	passes := func(name string) bool {
		passes := true
		for _, line := range lines {
			pattern, back := strings.CutPrefix(line, "!")
			for folder := name; folder != "."; folder = path.Dir(folder) {
				matched, err := path.Match(strings.TrimPrefix(pattern, "**/"), folder)
				if strings.HasPrefix(pattern, "**/") {
					matched, err = path.Match(strings.TrimPrefix(pattern, "**/"), path.Base(folder))
				}
				harness.Must(t, err)
				if matched || pattern == "**" {
					passes = back
				}
			}
		}
		return passes
	}
	harness.Must(t, fs.WalkDir(os.DirFS(harness.Path(".")), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case !entry.Type().IsRegular() || !passes(name):
			return nil
		}
		file := filepath.Join(to, filepath.FromSlash(name))
		info, err := entry.Info()
		harness.Must(t, err)
		content, err := os.ReadFile(harness.Path(name))
		harness.Must(t, err)
		harness.Must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		return os.WriteFile(file, content, info.Mode())
	}))
}

// TestCompose compares deploy/compose.yaml with the program: the settings are its settings, the
// balancer knows the servers, and a stop has the time that it may take.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(harness.Path("deploy/compose.yaml"))
	harness.Must(t, err)
	var file struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Environment map[string]string `yaml:"environment"`
			Grace       string            `yaml:"stop_grace_period"`
		} `yaml:"services"`
	}
	harness.Must(t, yaml.Unmarshal(text, &file))
	var help bytes.Buffer
	if code := harness.Run(t.Context(), []string{"serve", "--help"}, &help, &help); code != 0 {
		t.Fatalf("help ends with %d: %s", code, help.String())
	}
	var servers []string
	for name, service := range file.Services {
		if service.Image != "hangarshare-realtime" {
			continue
		}
		servers = append(servers, name+":8080")
		for setting := range service.Environment {
			if !strings.Contains(help.String(), "$"+setting) {
				t.Errorf("%s: the program has no setting %s", name, setting)
			}
		}
		delay, err := time.ParseDuration(service.Environment["DRAIN_DELAY"])
		harness.Must(t, err)
		grace, err := time.ParseDuration(service.Grace)
		harness.Must(t, err)
		if grace < delay+15*time.Second {
			t.Errorf("%s is killed after %s of a stop", name, grace)
		}
	}
	balanced := strings.Fields(file.Services["caddy"].Environment["SERVERS"])
	for _, server := range servers {
		if !strings.Contains(strings.Join(balanced, " "), server) {
			t.Errorf("Caddy does not know %s", server)
		}
	}
	if len(servers) != 3 || len(balanced) != 3 {
		t.Errorf("servers %v, balanced %v", servers, balanced)
	}
}
