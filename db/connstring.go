package db

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// errNoAddress says what a connection string looks like.
var errNoAddress = errors.New("DATABASE_URL must look like postgres://user:password@host:5432/database?sslmode=require")

// percentHelp is what to do about a password that breaks a URL. It names no part of what was given.
const percentHelp = "in a URL's password write % as %25, / as %2F, ? as %3F, # as %23, @ as %40, : as %3A and a space as %20"

// splitConnectionString takes a connection string apart into libpq's keywords: a URL, as hosts
// print it, or keywords and values. It is as lenient as psql, and where psql would guess wrong it
// says what to change. No error holds a part of the string, which may be a part of a password.
func splitConnectionString(text string) (map[string]string, error) {
	text = strings.TrimSpace(text)
	// as some hosts print it, to be copied
	text = strings.TrimSpace(strings.TrimPrefix(text, "psql "))
	if n := len(text); n > 1 && (text[0] == '\'' || text[0] == '"') && text[n-1] == text[0] {
		text = text[1 : n-1]
	}
	scheme, rest, isURL := strings.Cut(strings.TrimPrefix(text, "jdbc:"), "://")
	if isURL && !strings.ContainsAny(scheme, " =") {
		// postgresql+psycopg2 and its like name a driver of another language.
		switch base, _, _ := strings.Cut(scheme, "+"); base {
		case "postgres", "postgresql", "postgis":
			return splitURL(rest)
		}
		return nil, errNoAddress
	}
	if !strings.Contains(text, "=") {
		return nil, errNoAddress
	}
	if strings.Contains(text, ";") && !strings.Contains(text, "'") {
		return nil, errors.New("DATABASE_URL is written for another library, with semicolons: write it like " +
			"postgres://user:password@host:5432/database?sslmode=require")
	}
	return splitKeywords(text)
}

// splitURL reads what comes after the scheme. As in libpq a # is a character like any other, and
// there may be several hosts.
func splitURL(rest string) (map[string]string, error) {
	for _, c := range rest {
		if c < ' ' || c == 0x7f {
			return nil, fmt.Errorf("%w; a character in it cannot be in a URL: %s", errNoAddress, percentHelp)
		}
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if !strings.Contains(authority, "@") && strings.Contains(authority, ":") && strings.Contains(cutQuery(tail), "@") {
		return nil, errors.New("DATABASE_URL: the user or password seems to hold a / or ? that is not written as an escape: " + percentHelp)
	}
	raw := map[string]string{}
	if i := strings.LastIndex(authority, "@"); i >= 0 { // a password may hold another
		var hasPassword bool
		raw["user"], raw["password"], hasPassword = strings.Cut(authority[:i], ":")
		if !hasPassword {
			delete(raw, "password")
		}
		authority = authority[i+1:]
	}
	path, query, _ := strings.Cut(tail, "?")
	raw["dbname"] = strings.TrimPrefix(path, "/")
	if err := splitAuthority(authority, raw); err != nil {
		return nil, err
	}
	words := map[string]string{}
	for name, value := range raw {
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("%w; a %% in its %s begins no escape: %s", errNoAddress, named(name), percentHelp)
		}
		if decoded != "" {
			words[name] = decoded
		}
	}
	return words, splitQuery(query, words)
}

// cutQuery returns a path and what of its query comes before the first parameter.
func cutQuery(tail string) string {
	path, query, _ := strings.Cut(tail, "?")
	first, _, isParameter := strings.Cut(query, "=")
	if isParameter && !strings.Contains(first, "@") {
		return path
	}
	return path + first
}

func named(word string) string {
	if word == "dbname" {
		return "database's name"
	}
	return word
}

// splitAuthority reads host:port,host:port.
func splitAuthority(authority string, raw map[string]string) error {
	var hosts, ports []string
	for _, one := range strings.Split(authority, ",") {
		host, port := one, ""
		if strings.HasPrefix(one, "[") {
			end := strings.Index(one, "]")
			if end < 0 || end+1 < len(one) && one[end+1] != ':' {
				return errors.New("DATABASE_URL: an IPv6 address is written like [2001:db8::1]:5432")
			}
			host, port = one[1:end], strings.TrimPrefix(one[end+1:], ":")
		} else if strings.Count(one, ":") > 1 {
			return errors.New("DATABASE_URL: a host holds several colons: write an IPv6 address like [2001:db8::1]:5432; " + percentHelp)
		} else if i := strings.Index(one, ":"); i >= 0 {
			host, port = one[:i], one[i+1:]
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	raw["host"] = strings.Join(hosts, ",")
	if strings.Trim(strings.Join(ports, ""), ",") != "" {
		raw["port"] = strings.Join(ports, ",")
	}
	if strings.Trim(raw["host"], ",") == "" && len(hosts) == 1 {
		delete(raw, "host")
	}
	return nil
}

// splitQuery reads a URL's parameters. A + is a space, as most libraries write it, but in a
// password, where people mean it.
func splitQuery(query string, words map[string]string) error {
	for _, parameter := range strings.Split(query, "&") {
		if parameter == "" {
			continue
		}
		name, value, ok := strings.Cut(parameter, "=")
		name, nameErr := url.PathUnescape(name)
		if name != "password" {
			value = strings.ReplaceAll(value, "+", " ")
		}
		value, valueErr := url.PathUnescape(value)
		if !ok || nameErr != nil || valueErr != nil || name == "" {
			return errors.New("DATABASE_URL: its parameters are written like ?name=value&name=value; " + percentHelp)
		}
		if name == "database" {
			name = "dbname"
		}
		if value == "" {
			continue // nothing is said
		}
		words[name] = value
	}
	return nil
}

// splitKeywords reads `host=… dbname='…'` as libpq does: a value may stand in single quotes, and a
// backslash takes the next character as it is.
func splitKeywords(text string) (map[string]string, error) {
	words := map[string]string{}
	rest := []rune(text)
	space := func() {
		for len(rest) > 0 && unicode.IsSpace(rest[0]) {
			rest = rest[1:]
		}
	}
	for space(); len(rest) > 0; space() {
		n := 0
		for n < len(rest) && rest[n] != '=' && !unicode.IsSpace(rest[n]) {
			n++
		}
		name := string(rest[:n])
		rest = rest[n:]
		space()
		if len(rest) == 0 || rest[0] != '=' || name == "" {
			return nil, errors.New("DATABASE_URL: a keyword stands without =: write host=… dbname=… user=…, and a value with spaces in single quotes")
		}
		rest = rest[1:]
		space()
		value, left, err := splitValue(rest)
		if err != nil {
			return nil, err
		}
		rest = left
		if name == "database" {
			name = "dbname"
		}
		if value != "" {
			words[name] = value
		}
	}
	return words, nil
}

func splitValue(rest []rune) (value string, left []rune, err error) {
	var b strings.Builder
	quoted := len(rest) > 0 && rest[0] == '\''
	if quoted {
		rest = rest[1:]
	}
	for len(rest) > 0 {
		c := rest[0]
		if quoted && c == '\'' {
			return b.String(), rest[1:], nil
		}
		if !quoted && unicode.IsSpace(c) {
			break
		}
		if c == '\\' && len(rest) > 1 {
			rest = rest[1:]
			c = rest[0]
		}
		b.WriteRune(c)
		rest = rest[1:]
	}
	if quoted {
		return "", nil, errors.New("DATABASE_URL: a quote is not closed: inside single quotes write ' as \\' and \\ as \\\\")
	}
	return b.String(), rest, nil
}
