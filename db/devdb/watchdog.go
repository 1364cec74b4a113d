package devdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// drainLimit bounds how long an ended PostgreSQL's last sessions may hold its output open.
const drainLimit = 10 * time.Second

// watchdogScript reads the process to guard from its input, a pipe that only we hold open. However
// we end, the kernel closes that pipe; the script then ends the process in order and removes the
// directories it was given.
const watchdogScript = `pid=0
while read -r line; do
	[ "$line" = bye ] && exit 0
	pid=$line
done
if [ "$pid" -gt 0 ]; then
	kill -INT "$pid"
	n=0
	while [ "$n" -lt 100 ] && kill -0 "$pid"; do
		sleep 0.1
		n=$((n + 1))
	done
	kill -QUIT "$pid" && sleep 1
fi
rm -rf -- "$@"`

// gateScript becomes the program it is given once a line arrives, or ends if none ever will: so the
// watchdog knows the process before there is anything to guard.
const gateScript = `read -r _ || exit 1
exec "$0" "$@" </dev/null`

// watchdog is a small process of its own that ends what we started when we are gone. A signal at
// the death of the parent would be Linux's own and bound to a thread; a pipe is neither.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// command is a program to run under an account.
type command struct {
	program   string
	arguments []string
	dir       string
	account   account
	output    io.Writer
}

// startWatchdog starts a watchdog that guards nothing yet and removes the rubbish if we die.
func startWatchdog(rubbish []string) (*watchdog, error) {
	input, pipe, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the watchdog's pipe: %w", err)
	}
	defer input.Close() //nolint:errcheck // the child has its own copy
	cmd := exec.Command("/bin/sh", append([]string{"-c", watchdogScript, "watchdog"}, rubbish...)...)
	cmd.Stdin = input
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.SysProcAttr = detached(account{})
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the watchdog: %w", err), pipe.Close())
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// guard tells the watchdog which process to end if we die; 0 is none.
func (w *watchdog) guard(pid int) error {
	if _, err := fmt.Fprintln(w.pipe, pid); err != nil {
		return fmt.Errorf("tell the watchdog of process %d: %w", pid, err)
	}
	return nil
}

// start starts the command under guard. When ctx ends, it is killed.
func (w *watchdog) start(ctx context.Context, c command) (*exec.Cmd, error) {
	input, gate, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the program's pipe: %w", err)
	}
	defer input.Close() //nolint:errcheck // the child has its own copy
	defer gate.Close()  //nolint:errcheck // opened or not, the child sees its end
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", gateScript, c.program}, c.arguments...)...)
	cmd.Stdin = input
	cmd.Stdout = c.output
	cmd.Stderr = c.output
	cmd.Dir = c.dir
	cmd.Env = environment()
	cmd.WaitDelay = drainLimit
	cmd.SysProcAttr = detached(c.account)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.program, err)
	}
	if err := w.guard(cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, gate.Close(), cmd.Wait())
	}
	if _, err := gate.WriteString(strconv.Itoa(cmd.Process.Pid) + "\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.program, err), cmd.Wait())
	}
	return cmd, nil
}

// dismiss ends the watchdog: nothing is left to guard.
func (w *watchdog) dismiss() error {
	_, said := fmt.Fprintln(w.pipe, "bye")
	if err := errors.Join(said, w.pipe.Close(), w.cmd.Wait()); err != nil {
		return fmt.Errorf("dismiss the watchdog: %w", err)
	}
	return nil
}

// inherited are the variables that PostgreSQL's programs get from us: where programs, libraries and
// temporary files are, and who the user is where no system file says so.
var inherited = []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP"}

// environment is what of ours a program of the private PostgreSQL needs. The rest
// stays away: the server's secrets, which any of its sessions could read, and the
// settings of another database (PG…).
func environment() []string {
	kept := []string{"LC_ALL=C"}
	for _, name := range inherited {
		if value, set := os.LookupEnv(name); set {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}
