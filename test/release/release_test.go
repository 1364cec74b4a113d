// Package release builds what a release consists of and looks at it: the same bytes from two
// folders, a package with a service that systemd takes and finds well confined. It promises to
// install nothing. It does not know what the program does.
package release

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	// exposure is the most that systemd-analyze may say, in tenths.
	exposure = "15"
	unit     = "usr/lib/systemd/system/hangarshare-realtime.service"
)

// run runs a program in a folder and returns what it prints; one that is missing skips the test.
func run(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	return runWith(t, nil, folder, name, args...)
}

// runWith is run with more in the environment.
func runWith(t *testing.T, env []string, folder, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("this machine has no %s", name)
	}
	command := exec.Command(name, args...)
	command.Dir = folder
	command.Env = append(append(os.Environ(), "COMMIT="+commit, "SOURCE_DATE_EPOCH=1700000000", "LEVEL=1"), env...)
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return string(text)
}

// builds are this folder and a copy of it elsewhere, each with a program that was built there.
type builds struct{ folders, programs [2]string }

// copied is the other folder, once there is one.
var copied string

// full has the second build compile everything anew. Otherwise it takes from Go's cache what the
// first one compiled: a package that would come out different in another folder is not found there.
var full = os.Getenv("RELEASE") == "full"

// built builds the program in both folders, once for all tests: in the other one by the command of
// deploy/Dockerfile, from the files that Dockerfile.dockerignore lets through.
var built = sync.OnceValues(func() (b builds, err error) {
	if copied, err = os.MkdirTemp("", "release"); err != nil {
		return b, err
	}
	b.folders = [2]string{harness.Path("."), filepath.Join(copied, "source")}
	passes, err := dockerContext()
	if err != nil {
		return b, err
	}
	if err := copyFiles(b.folders[1], passes); err != nil {
		return b, err
	}
	inImage, err := dockerBuild()
	if err != nil {
		return b, err
	}
	for i, command := range []string{"deploy/release binary ", inImage} {
		b.programs[i] = filepath.Join(copied, fmt.Sprint(i))
		build := exec.Command("sh", "-c", command+b.programs[i])
		build.Dir, build.Env = b.folders[i], append(os.Environ(), "COMMIT="+commit, "SOURCE_DATE_EPOCH=1700000000")
		if full {
			build.Env = append(build.Env, "GOCACHE="+filepath.Join(copied, fmt.Sprint("cache", i)))
		}
		if said, err := build.CombinedOutput(); err != nil {
			return b, fmt.Errorf("build in %s: %w\n%s", b.folders[i], err, said)
		}
	}
	return b, copyFiles(b.folders[1], func(string) bool { return true })
})

// copyFiles copies those files of this folder that git has or would take, and that pass. It says
// nothing of what is not the repository's.
func copyFiles(to string, passes func(name string) bool) error {
	list := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	list.Dir = harness.Path(".")
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the files: %w", err)
	}
	for name := range strings.Lines(string(names)) {
		name = strings.TrimSuffix(name, "\n")
		if !passes(name) {
			continue
		}
		from := harness.Path(name)
		text, err := os.ReadFile(from)
		if err != nil {
			continue // removed, but not yet from git's index
		}
		file := filepath.Join(to, filepath.FromSlash(name))
		info, err := os.Stat(from)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, text, info.Mode()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if copied != "" {
		os.RemoveAll(copied)
	}
	os.Exit(code)
}

// packTwice has deploy/release pack something in both folders, from the program that was built
// there, holds both to the same bytes, and returns the file.
func packTwice(t *testing.T, what string) string {
	t.Helper()
	b, err := built()
	harness.Must(t, err)
	var files [2]string
	var content [2][]byte
	for i, folder := range b.folders {
		to := t.TempDir()
		name := runWith(t, []string{"PROGRAM=" + b.programs[i]}, ".", filepath.Join(folder, "deploy/release"), what, to)
		files[i] = filepath.Join(to, strings.TrimSpace(name))
		content[i], err = os.ReadFile(files[i])
		harness.Must(t, err)
	}
	if filepath.Base(files[0]) != filepath.Base(files[1]) || !bytes.Equal(content[0], content[1]) {
		t.Errorf("two builds of %s, in two folders, differ", filepath.Base(files[0]))
	}
	return files[0]
}

// TestImageArchive builds the container image twice, follows its digests from the index to the
// layer, and runs the program where there is nothing else.
func TestImageArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program twice")
	}
	t.Parallel()
	image, root := t.TempDir(), t.TempDir()
	run(t, image, "tar", "-xf", packTwice(t, "image"))
	// blob returns the content that a digest names.
	blob := func(digest string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(image, "blobs", strings.ReplaceAll(digest, ":", "/")))
		harness.Must(t, err)
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(text)); sum != digest {
			t.Fatalf("what is called %s has the digest %s", digest, sum)
		}
		return text
	}
	type named struct {
		Digest string
		Size   int
	}
	var index struct{ Manifests []named }
	text, err := os.ReadFile(filepath.Join(image, "index.json"))
	harness.Must(t, err)
	harness.DecodeJSON(t, bytes.NewReader(text), &index)
	var manifest struct {
		Config named
		Layers []named
	}
	harness.DecodeJSON(t, bytes.NewReader(blob(index.Manifests[0].Digest)), &manifest)
	var config struct {
		Config struct {
			User       string
			Entrypoint []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	harness.DecodeJSON(t, bytes.NewReader(blob(manifest.Config.Digest)), &config)
	layer := manifest.Layers[0]
	if len(blob(layer.Digest)) != layer.Size || config.RootFS.DiffIDs[0] != layer.Digest || config.Config.User != "65532:65532" {
		t.Errorf("the image is not what it says: %+v %+v", manifest, config)
	}
	layerFile := filepath.Join(image, "blobs", strings.ReplaceAll(layer.Digest, ":", "/"))
	listing := run(t, image, "tar", "--list", "--verbose", "--numeric-owner", "--file="+layerFile)
	for _, line := range []string{`-rwxr-xr-x 0/0 .* hangarshare`, `drwx------ 65532/65532 .* data/`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(listing) {
			t.Errorf("the layer has no %s:\n%s", line, listing)
		}
	}
	if os.Geteuid() != 0 {
		return // only root may make a folder the root of a process
	}
	harness.Must(t, os.Chmod(root, 0o755))
	run(t, root, "tar", "-xf", layerFile)
	chroot := append([]string{"--userspec=" + config.Config.User, root}, config.Config.Entrypoint...)
	if said := run(t, root, "chroot", append(chroot, "version")...); !strings.Contains(said, commit) {
		t.Errorf("the program does not run by itself: %s", said)
	}
	// It comes as far as its database, though the folder has no zones and no certificate
	// authorities.
	command := exec.Command("chroot", append(chroot, "serve", "--database-url", "postgres://u:p@db.invalid/portal",
		"--jwt-secret", harness.Secret, "--timezone", "Europe/Lisbon", "--database-wait", "0s", "--addr", "127.0.0.1:0", "--admin-addr", "")...)
	if said, err := command.CombinedOutput(); err == nil || !strings.Contains(string(said), "db.invalid") {
		t.Errorf("without a database: %v %s", err, said)
	}
}

// TestProgram compares the programs of both folders: the same bytes, static, and no word of where
// they were built.
func TestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program twice")
	}
	t.Parallel()
	b, err := built()
	harness.Must(t, err)
	var sums [2]string
	for i, program := range b.programs {
		text, err := os.ReadFile(program)
		harness.Must(t, err)
		sums[i] = fmt.Sprintf("%x", sha256.Sum256(text))
		if bytes.Contains(text, []byte(b.folders[i]+"/")) {
			t.Errorf("the program names the folder %s", b.folders[i])
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("built in two folders the program has the sums %v", sums)
	}
	binary, err := elf.Open(b.programs[1])
	harness.Must(t, err)
	defer binary.Close()
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: it has %s", part.Type)
		}
	}
}

// TestPackage builds the Debian package here and from a copy in another folder.
func TestPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program twice")
	}
	t.Parallel()
	run(t, ".", "dpkg-deb", "--version")
	here, name := filepath.Split(packTwice(t, "deb"))

	root := t.TempDir()
	run(t, here, "dpkg-deb", "-x", name, root)
	run(t, here, "dpkg-deb", "-e", name, filepath.Join(root, "DEBIAN"))
	listing := run(t, here, "dpkg-deb", "-c", name)
	for _, line := range []string{
		`-rwxr-xr-x root/root .* \./usr/bin/hangarshare`,
		`-rw-r--r-- root/root .* \./` + regexp.QuoteMeta(unit),
		`-rw-r----- root/root .* \./etc/hangarshare-realtime/env`,
		`-rw-r--r-- root/root .* \./usr/share/doc/hangarshare-realtime/copyright`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(listing) {
			t.Errorf("the package has no %s:\n%s", line, listing)
		}
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		run(t, root, "sh", "-n", filepath.Join("DEBIAN", script))
	}
	t.Run("installs", func(t *testing.T) { installs(t, filepath.Join(here, name)) })
	program := filepath.Join(root, "usr/bin/hangarshare")
	if said := run(t, root, program, "version"); !strings.Contains(said, "commit "+commit) {
		t.Errorf("the program does not tell its commit: %s", said)
	}
	text, err := os.ReadFile(filepath.Join(root, unit))
	harness.Must(t, err)
	// The settings that the package brings are understood: what is missing is the secret.
	settings := regexp.MustCompile(`ENV_FILE=(\S+)`).FindSubmatch(text)
	if settings == nil {
		t.Fatal("the unit names no ENV_FILE")
	}
	command := exec.Command(program, "serve", "--env-file", filepath.Join(root, string(settings[1])))
	if said, err := command.CombinedOutput(); err == nil || !strings.Contains(string(said), "JWT_SECRET") {
		t.Errorf("with the settings as they come: %v %s", err, said)
	}

	// Where the service's program will be is known only here.
	units := t.TempDir()
	service := filepath.Join(units, filepath.Base(unit))
	text = bytes.ReplaceAll(text, []byte("/usr/bin/hangarshare"), []byte(program))
	harness.Must(t, os.WriteFile(service, text, 0o600))
	socket := strings.Replace(unit, ".service", ".socket", 1)
	text, err = os.ReadFile(filepath.Join(root, socket))
	harness.Must(t, err)
	socket = filepath.Join(units, filepath.Base(socket))
	harness.Must(t, os.WriteFile(socket, text, 0o600))
	if said := run(t, root, "systemd-analyze", "verify", "--man=no", service, socket); strings.Contains(said, "hangarshare-realtime") {
		t.Errorf("systemd does not take the unit as it stands: %s", said)
	}
	said := run(t, root, "systemd-analyze", "security", "--offline=true", "--threshold="+exposure, service)
	lines := strings.Split(strings.TrimSpace(said), "\n")
	t.Log(lines[len(lines)-1])
}

// installs has dpkg install, remove and purge the package in a copy of this machine's files that is
// gone afterwards: the account is made and reads its settings, and nothing of ours is left.
func installs(t *testing.T, deb string) {
	const overlay = `set -eu
mount -t tmpfs none "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=/,upperdir=$2/upper,workdir=$2/work" none "$2/root" || exit 77
cp "$1" "$2/root/package.deb"
chroot "$2/root" sh -eu -c '
	dpkg -i /package.deb
	su -s /bin/sh hangarshare -c "cat /etc/hangarshare-realtime/env"
	su -s /bin/sh nobody -c "cat /etc/hangarshare-realtime/env" && echo everybody reads the settings
	hangarshare version
	dpkg -r hangarshare-realtime
	test -e /etc/hangarshare-realtime/env
	dpkg -P hangarshare-realtime
	for left in /usr/bin/hangarshare /etc/hangarshare-realtime /var/lib/hangarshare-realtime; do
		if [ -e $left ]; then echo $left is left; fi
	done
	echo done'`
	if os.Geteuid() != 0 {
		t.Skip("only root installs packages")
	}
	// A namespace of its own: no mount is seen outside, and all end with it.
	command := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", overlay, "sh", deb, t.TempDir())
	said, err := command.CombinedOutput()
	if code := command.ProcessState.ExitCode(); code == 77 || strings.Contains(string(said), "unshare") {
		t.Skipf("this machine lets nobody mount: %s", said)
	}
	text := string(said)
	if err != nil || !strings.Contains(text, "DATABASE_URL=") || !strings.Contains(text, "commit "+commit) || !strings.HasSuffix(text, "done\n") {
		t.Errorf("the package does not install and go: %v\n%s", err, said)
	}
	for _, fault := range []string{"everybody reads the settings", " is left"} {
		if strings.Contains(text, fault) {
			t.Errorf("after installing: %s\n%s", fault, said)
		}
	}
}
