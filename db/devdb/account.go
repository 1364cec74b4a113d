package devdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// account is the user that PostgreSQL runs as: our own, or another where we are root, which it
// refuses.
type account struct {
	name     string
	uid, gid uint32
	other    bool // not ourselves: programs change to uid and gid
}

// unprivileged lists the users that root may run PostgreSQL as, the best first.
// initdb insists on a user with a name.
var unprivileged = []string{"postgres", "_postgres", "nobody", "daemon"}

// socketPathLimit is the longest path of a socket that every system takes: macOS has 104 bytes with
// the final zero, Linux 108.
const socketPathLimit = 103

// chooseAccount says whom to run as. Data that exist already keep their owner.
func chooseAccount(dir string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	if info, err := os.Stat(filepath.Join(dir, "cluster")); err == nil {
		if uid := ownerOf(info); uid != 0 {
			if found, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
				return accountOf(found)
			}
		}
	}
	for _, name := range unprivileged {
		if found, err := user.Lookup(name); err == nil {
			return accountOf(found)
		}
	}
	return account{}, fmt.Errorf("PostgreSQL refuses to run as root, and this machine has none of the users %s: "+
		"run this as an ordinary user, or set DATABASE_URL", strings.Join(unprivileged, ", "))
}

func accountOf(found *user.User) (account, error) {
	uid, uidErr := strconv.ParseInt(found.Uid, 10, 64)
	gid, gidErr := strconv.ParseInt(found.Gid, 10, 64)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return account{}, fmt.Errorf("read the ids of user %s: %w", found.Username, err)
	}
	return account{name: found.Username, uid: uint32(uid), gid: uint32(gid), other: true}, nil
}

// give hands a file or directory, with all that is in it, to the account.
func (a account) give(path string) error {
	if !a.other {
		return nil
	}
	err := filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
	if err != nil {
		return fmt.Errorf("hand %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// canEnter says whether the account can get to the directory.
func (a account) canEnter(ctx context.Context, dir string) (bool, error) {
	if !a.other {
		return true, nil
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `cd "$0"`, dir)
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.SysProcAttr = detached(a)
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); exited && ctx.Err() == nil {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("run a program as user %s, since PostgreSQL refuses root: %w; "+
			"run this as an ordinary user, or set DATABASE_URL", a.name, err)
	}
	return true, nil
}

// clusterDirectory returns the directory that belongs to the account: "cluster" in dir. Where the
// account cannot get to dir, because it lies in root's home for instance, "cluster" is a link to a
// directory that it can get to.
func clusterDirectory(ctx context.Context, dir string, a account, log *slog.Logger) (string, error) {
	cluster := filepath.Join(dir, "cluster")
	if a.other {
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", fmt.Errorf("let user %s into its directory: %w", a.name, err)
		}
	}
	if _, err := os.Lstat(cluster); errors.Is(err, fs.ErrNotExist) {
		reached, err := a.canEnter(ctx, dir)
		if err != nil {
			return "", err
		}
		if reached {
			err = os.Mkdir(cluster, 0o700)
		} else {
			err = linkElsewhere(cluster, dir)
			log.Warn("PostgreSQL's user cannot enter the data directory; its data go elsewhere",
				"user", a.name, "directory", dir, "link", cluster)
		}
		if err != nil {
			return "", fmt.Errorf("make the database's directory: %w", err)
		}
	}
	resolved, err := filepath.EvalSymlinks(cluster)
	if err != nil {
		return "", fmt.Errorf("find the database behind %s (remove it to begin anew): %w", cluster, err)
	}
	if info, err := os.Stat(resolved); err != nil {
		return "", fmt.Errorf("look at the database's directory: %w", err)
	} else if a.other && ownerOf(info) != a.uid {
		if err := a.give(resolved); err != nil {
			return "", err
		}
	}
	reached, err := a.canEnter(ctx, resolved)
	if err == nil && !reached {
		err = fmt.Errorf("user %s, whom PostgreSQL runs as because it refuses root, cannot enter %s: "+
			"let others pass through its parents (chmod o+x), choose another DATA_DIR, or set DATABASE_URL", a.name, resolved)
	}
	return resolved, err
}

// linkElsewhere makes a directory where everybody can get to and a link to it. What was meant for
// the place of temporary files stays there.
func linkElsewhere(cluster, dir string) error {
	home := "/tmp"
	if !strings.HasPrefix(dir, filepath.Clean(os.TempDir())+string(filepath.Separator)) {
		home = "/var/lib/hangarshare-realtime"
		if err := os.MkdirAll(home, 0o711); err != nil {
			return err
		}
	}
	elsewhere, err := os.MkdirTemp(home, "hangarshare-postgres-")
	if err != nil {
		return err
	}
	return os.Symlink(elsewhere, cluster)
}

// socketDirectory returns an empty directory for the socket that only the account
// and root can enter: in the cluster's directory, or, where that path is too long
// for a socket, among the temporary files.
func socketDirectory(cluster string, a account) (string, error) {
	sockets := filepath.Join(cluster, "socket")
	if len(filepath.Join(sockets, ".s.PGSQL."+socketPort)) > socketPathLimit {
		var err error
		if sockets, err = os.MkdirTemp("/tmp", "hangarshare-socket-"); err != nil {
			return "", fmt.Errorf("make the socket's directory: %w", err)
		}
	} else if err := os.MkdirAll(sockets, 0o700); err != nil {
		return "", fmt.Errorf("make the socket's directory: %w", err)
	}
	return sockets, a.give(sockets)
}
