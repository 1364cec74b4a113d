package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// environment is what ENV_FILE says: settings below flags and this process's environment, which
// cannot change while it runs. It is read once for each parsing of the command line.
type environment struct {
	settings *Settings
	path     string
	values   map[string]string
}

// Validate implements kong.Resolver.
func (*environment) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: the value of a flag that neither the command line nor the
// environment sets.
func (e *environment) Resolve(c *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if err := e.load(c); err != nil {
		return nil, err
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
		if value, ok := e.values[name]; ok {
			return value, nil
		}
	}
	return nil, nil
}

// load reads the file that the flag or the environment names, and hands libpq's variables on.
func (e *environment) load(c *kong.Context) error {
	for _, flag := range c.Flags() {
		if path, ok := c.FlagValue(flag).(string); ok && flag.Name == "env-file" {
			if path == e.path {
				return nil
			}
			e.path = path
		}
	}
	if e.path == "" {
		return nil
	}
	text, err := os.ReadFile(e.path)
	if err != nil {
		return fmt.Errorf("ENV_FILE: %w", err)
	}
	if e.values, err = parseEnvironment(string(text)); err != nil {
		return fmt.Errorf("ENV_FILE %s: %w", e.path, err)
	}
	known := settingNames(c.Model.Node)
	for name, value := range e.values {
		switch {
		case db.IsVariable(name):
			set := func(line string) bool { return strings.HasPrefix(line, name+"=") }
			if !slices.ContainsFunc(e.settings.variables, set) {
				e.settings.variables = append(e.settings.variables, name+"="+value)
			}
		case !slices.Contains(known, name):
			return fmt.Errorf("ENV_FILE %s: there is no setting %s; see hangarshare serve --help",
				e.path, name)
		}
	}
	return nil
}

// settingNames returns the names of all settings, whichever command uses them.
func settingNames(node *kong.Node) (names []string) {
	for _, flag := range node.Flags {
		names = append(names, flag.Envs...)
	}
	for _, child := range node.Children {
		names = append(names, settingNames(child)...)
	}
	return names
}

// parseEnvironment reads lines NAME=value as systemd's EnvironmentFile has them, without escapes: a
// value is all that follows, less the spaces around it and a pair of quotes. Empty lines and those
// that begin with # or ; say nothing.
func parseEnvironment(text string) (map[string]string, error) {
	values := make(map[string]string)
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
		if !ok || name == "" || strings.ContainsAny(name, " \t\"'") {
			return nil, fmt.Errorf("line %d is not NAME=value", i+1)
		}
		value = strings.TrimSpace(value)
		if n := len(value); n > 1 && value[0] == value[n-1] && strings.ContainsAny(value[:1], `"'`) {
			value = value[1 : n-1]
		}
		values[name] = value
	}
	return values, nil
}
