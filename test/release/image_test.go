package release

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	yaml "github.com/oasdiff/yaml3"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// dockerBuild returns the command by which deploy/Dockerfile builds the program, up to the
// program's name.
func dockerBuild() (string, error) {
	text, err := os.ReadFile(harness.Path("deploy/Dockerfile"))
	if err != nil {
		return "", err
	}
	build := regexp.MustCompile(`(?m)^RUN COMMIT=\$COMMIT (.*deploy/release binary )/hangarshare$`).FindSubmatch(text)
	if build == nil {
		return "", errors.New("deploy/Dockerfile does not build by deploy/release")
	}
	return string(build[1]), nil
}

// dockerContext returns what says whether Dockerfile.dockerignore lets a file through.
func dockerContext() (passes func(name string) bool, err error) {
	text, err := os.ReadFile(harness.Path("deploy/Dockerfile.dockerignore"))
	if err != nil {
		return nil, err
	}
	type rule struct {
		pattern       string
		back, anyhere bool
	}
	var rules []rule
	for _, line := range strings.Fields(string(text)) {
		var one rule
		one.pattern, one.back = strings.CutPrefix(line, "!")
		one.pattern, one.anyhere = strings.CutPrefix(one.pattern, "**/")
		if _, err := path.Match(one.pattern, "a"); err != nil {
			return nil, fmt.Errorf("deploy/Dockerfile.dockerignore: %s: %w", line, err)
		}
		rules = append(rules, one)
	}
	return func(name string) bool {
		passes := true
		for _, one := range rules {
			for folder := name; folder != "."; folder = path.Dir(folder) {
				part := folder
				if one.anyhere {
					part = path.Base(folder)
				}
				if matched, _ := path.Match(one.pattern, part); matched || one.pattern == "**" {
					passes = one.back
				}
			}
		}
		return passes
	}, nil
}

// TestDockerfile holds the image to what the documents say of it. That what it builds is the
// program of a release is TestProgram's.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(harness.Path("deploy/Dockerfile"))
	harness.Must(t, err)
	for _, line := range []string{`FROM scratch`, `USER 65532:65532`, `ENTRYPOINT ["/hangarshare"]`, `CMD ["serve", "--no-demo"]`} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("deploy/Dockerfile lacks %s", line)
		}
	}
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
			Build       any               `yaml:"build"`
			Pull        string            `yaml:"pull_policy"`
			Environment map[string]string `yaml:"environment"`
			Grace       string            `yaml:"stop_grace_period"`
		} `yaml:"services"`
	}
	harness.Must(t, yaml.Unmarshal(text, &file))
	var help bytes.Buffer
	if code := harness.Run(t.Context(), []string{"serve", "--help"}, &help, &help); code != 0 {
		t.Fatalf("help ends with %d: %s", code, help.String())
	}
	var servers, builders []string
	for name, service := range file.Services {
		if service.Image != "hangarshare-realtime" {
			continue
		}
		if service.Build != nil {
			builders = append(builders, name)
		}
		if service.Pull != "never" {
			t.Errorf("%s: an image of this name in a registry is somebody else's", name)
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
	if len(builders) != 1 { // Compose builds side by side, and the second export of a tag fails
		t.Errorf("the image is built by %v: it takes one", builders)
	}
	if len(servers) != 3 || len(balanced) != 3 {
		t.Errorf("servers %v, balanced %v", servers, balanced)
	}
}
