// HangarShare Realtime serves an owner's live numbers from the portal's PostgreSQL: REST snapshots, a WebSocket, a
// Server-Sent Events fallback and the dashboard page, in one process.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	_ "time/tzdata" // zones also where the machine has none

	"github.com/alecthomas/kong"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
)

//go:embed openapi.yaml
var openAPI []byte

// version is set by the linker for a release.
var version = "0.1.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code: 0, 1 for what went wrong, 2 for a wrong command line. It is
// all of main but the process, so that a test can start it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commandLine
	parser, err := kong.New(&cli, kong.Name("hangarshare"), kong.Description("Live numbers for hangar owners."),
		kong.Writers(stdout, stderr), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(exitCode(code)) }))
	if err != nil {
		fmt.Fprintln(stderr, "hangarshare:", err)
		return 2
	}
	code := 0
	command := func() (command *kong.Context) {
		defer func() { // --help ends the parsing by exiting
			if exit, ok := recover().(exitCode); ok {
				code, command = int(exit), nil
			}
		}()
		if command, err = parser.Parse(args); err != nil {
			fmt.Fprintln(stderr, "hangarshare:", err.Error()+"; see hangarshare --help")
			code = 2
			return nil
		}
		return command
	}()
	if command == nil {
		return code
	}
	log := cli.Settings.logger(stderr)
	command.BindTo(ctx, (*context.Context)(nil))
	command.BindTo(stdout, (*io.Writer)(nil))
	if err := command.Run(&cli.Settings, log); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "hangarshare:", err)
		return 1
	}
	return 0
}

type exitCode int

// Run installs or removes what is ours.
func (c *migrateCommand) Run(ctx context.Context, s *Settings, log *slog.Logger) error {
	if s.DatabaseURL == "" {
		return errors.New("migrate needs DATABASE_URL: the database to install into (a private one is migrated by itself)")
	}
	if c.Down {
		return db.Unmigrate(ctx, s.direct(), log)
	}
	return db.Migrate(ctx, s.direct(), log)
}

// Run prints a token.
func (c *tokenCommand) Run(s *Settings, out io.Writer) error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	token, _, err := api.NewTokens(secret).Sign(c.User, "", c.Lifetime)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, token)
	return err
}

// Run prints what this is.
func (versionCommand) Run(out io.Writer) error {
	commit, when := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				commit = setting.Value
			case "vcs.time":
				when = " of " + setting.Value
			}
		}
	}
	_, err := fmt.Fprintf(out, "hangarshare %s, commit %s%s, %s %s/%s\n", version, commit, when, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
