// Package cli is the command line: every command, flag and environment variable, and the wiring of
// the parts that serve. It promises that what a command refuses is said in one line, with what to
// do about it. It does not know what a route answers or how an event travels.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"

	_ "time/tzdata" // zones also where the machine has none

	"github.com/alecthomas/kong"
	_ "golang.org/x/crypto/x509roots/fallback" // authorities also where the machine has none

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

// version is that of the next release.
var version = "0.2.0"

// commit is set by the linker for a release, whose build knows nothing of git; else the
// build tells.
var commit = ""

// Run executes one command line and returns the exit code: 0, 1 for what went wrong, 2 for a wrong
// command line. openAPI is the description of the interface that the server shows.
func Run(ctx context.Context, openAPI []byte, args []string, stdout, stderr io.Writer) int {
	stderr = redacting{stderr}
	cli := commandLine{Settings: Settings{variables: extractVariables(), openAPI: openAPI}}
	cli.parseAgain = func() (*commandLine, error) {
		again := new(commandLine)
		parser, err := newParser(again, io.Discard, io.Discard)
		if err == nil {
			_, err = parser.Parse(joinValues(parser.Model, args))
		}
		return again, err
	}
	parser, err := newParser(&cli, stdout, stderr)
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
		if command, err = parser.Parse(joinValues(parser.Model, args)); err != nil {
			// A fault of the file of settings is named after the flag that was looked for first.
			fmt.Fprintln(stderr, "hangarshare:", strings.TrimPrefix(err.Error(), "--help: ")+"; see hangarshare --help")
			code = 2
			return nil
		}
		return command
	}()
	if command == nil {
		return code
	}
	log := cli.Settings.logger(stderr)
	cli.told = changedSettings(command)
	command.BindTo(ctx, (*context.Context)(nil))
	command.BindTo(stdout, (*io.Writer)(nil))
	if err := command.Run(&cli.Settings, log); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "hangarshare:", err)
		return 1
	}
	return 0
}

// newParser returns what reads a command line, the environment and ENV_FILE into cli.
func newParser(cli *commandLine, stdout, stderr io.Writer) (*kong.Kong, error) {
	cli.fromFile = &environment{settings: &cli.Settings}
	return kong.New(cli, kong.Name("hangarshare"), kong.Description("Live numbers for hangar owners."),
		kong.Writers(stdout, stderr), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Resolvers(cli.fromFile), kong.Exit(func(code int) { panic(exitCode(code)) }))
}

type exitCode int

// joinValues writes --flag -value as --flag=-value, which the parser takes: positions, keys and
// secrets are of base64url, so that one of 64 begins with a hyphen. A flag whose value was
// forgotten does not swallow the flag behind it.
func joinValues(model *kong.Application, args []string) (joined []string) {
	takesValue := map[string]bool{"-h": false} // by flag
	kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			takesValue["--"+flag.Name] = !flag.IsBool()
		}
		return next(nil)
	})
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		last := len(joined) - 1
		if _, known := takesValue[name]; !known && strings.HasPrefix(arg, "-") && last >= 0 && takesValue[joined[last]] {
			joined[last] += "=" + arg
			continue
		}
		joined = append(joined, arg)
	}
	return joined
}

// Run installs or removes what is ours.
func (c *migrateCommand) Run(ctx context.Context, s *Settings, log *slog.Logger) error {
	if s.DatabaseURL == "" {
		return errors.New("migrate needs DATABASE_URL: the database to install into (a private one is migrated by itself)")
	}
	if err := s.completeURLs(); err != nil {
		return err
	}
	if c.Down {
		return db.Unmigrate(ctx, s.direct(), log)
	}
	return db.Migrate(ctx, s.direct(), log)
}

// Run begins a new history.
func (c *epochCommand) Run(ctx context.Context, s *Settings, log *slog.Logger, out io.Writer) error {
	if s.DatabaseURL == "" {
		return errors.New("epoch needs DATABASE_URL: the database that was restored")
	}
	if err := s.completeURLs(); err != nil {
		return err
	}
	pool, err := db.Open(ctx, s.direct())
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := eventlog.RenewEpoch(ctx, pool, log, db.Consumers()...); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "A new history has begun: browsers load their numbers again.")
	return err
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

// release names this version in reports.
func release() string {
	commit, _ := built()
	return "hangarshare@" + version + "+" + commit[:min(len(commit), 12)]
}

// Run prints what this is.
func (versionCommand) Run(out io.Writer) error {
	commit, when := built()
	_, err := fmt.Fprintf(out, "hangarshare %s, commit %s%s, %s %s/%s\n", version, commit, when, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// built returns the commit that the program was built from and, as " of TIME", when that was.
func built() (revision, when string) {
	revision = cmp.Or(commit, "unknown")
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				revision = setting.Value
			case "vcs.time":
				when = " of " + setting.Value
			}
		}
	}
	return revision, when
}
