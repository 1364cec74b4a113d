package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"
)

// connectionWords are the parameters that describe a connection, as libpq and lib/pq name them. All
// others are settings of the session.
var connectionWords = set("host", "hostaddr", "port", "dbname", "user", "password", "passfile", "channel_binding",
	"connect_timeout", "options", "application_name", "fallback_application_name", "sslmode", "sslnegotiation", "sslcert",
	"sslkey", "sslrootcert", "sslsni", "sslinline", "ssl_min_protocol_version", "ssl_max_protocol_version",
	"min_protocol_version", "max_protocol_version", "krbsrvname", "target_session_attrs", oneMessage, schemaWord)

// ours are settings that every connection of ours has in one way, whatever is asked for, and those
// that a connection of ours has anyhow: a bounded wait, a primary, keepalives.
var ours = set("client_encoding", "datestyle", "timezone", "intervalstyle", "load_balance_hosts", "keepalives", "keepalives_idle",
	"keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslcompression", "gssencmode", "gssdelegation", "gsslib",
	"sslcertmode", "krbspn", "disable_prepared_binary_result", "service", "servicefile", "geqo", "tz")

// foreign are parameters that other libraries and poolers take, and what is said of each: nothing,
// or which setting of ours means the same. Their names are compared in lower case.
var foreign = set(
	// Prisma
	"pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size",
	// Supabase, Vercel, node-postgres
	"supa", "workaround", "uselibpqcompat",
	// pgx
	"pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime", "pool_max_conn_lifetime_jitter",
	"pool_max_conn_idle_time", "pool_health_check_period", "default_query_exec_mode", "statement_cache_capacity",
	"description_cache_capacity", "statement_cache_mode", "prefer_simple_protocol",
	// SQLAlchemy, asyncpg
	"pool", "pool_size", "max_overflow", "pool_pre_ping", "pool_recycle", "prepared_statement_cache_size",
	"prepared_statement_name_func", "command_timeout", "max_cached_statement_lifetime", "async_fallback",
	// Django, Rails, Doctrine
	"conn_max_age", "conn_health_checks", "prepared_statements", "adapter", "encoding", "charset", "checkout_timeout",
	"reaping_frequency", "variables", "serverversion",
	// JDBC, node
	"preparethreshold", "binarytransfer", "rewritebatchedinserts", "logintimeout", "connecttimeout", "sockettimeout",
	"tcpkeepalive", "loadbalancehosts", "stringtype", "reconnect", "max", "idletimeoutmillis", "connectiontimeoutmillis",
	"pool_mode", "pooling", "maxpoolsize", "minpoolsize", "max_connections", "sslidentity")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// understand turns what other libraries and hosts write into libpq's words, in place, and
// returns what it took out.
func (a *address) understand(words map[string]string) (left []string, err error) {
	for name, value := range words {
		lower := strings.ToLower(name)
		switch {
		case foreign[lower]:
			delete(words, name)
			left = append(left, name)
		case lower != name && (connectionWords[lower] || ours[lower]):
			delete(words, name)
			words[lower] = value
		}
	}
	slices.Sort(left)
	for from, to := range map[string]string{"currentSchema": "schema", "ApplicationName": "application_name", "applicationName": "application_name",
		"targetServerType": "target_session_attrs"} {
		if value, ok := words[from]; ok {
			delete(words, from)
			words[to] = value
		}
	}
	if schema, ok := words["schema"]; ok { // Prisma's word
		delete(words, "schema")
		if words["search_path"] == "" {
			words["search_path"] = pq.QuoteIdentifier(schema)
		}
	}
	return left, understandTLS(words)
}

// understandTLS settles the many ways to say sslmode.
func understandTLS(words map[string]string) error {
	mode := strings.ToLower(words["sslmode"])
	if mode == "no-verify" { // node-postgres
		mode = "require"
	}
	wish := func(is string) {
		if mode == "" {
			mode = is
		}
	}
	if value, ok := words["ssl"]; ok {
		delete(words, "ssl")
		switch value := strings.ToLower(value); value {
		case "true", "1", "on", "yes", "require", "no-verify", `{"rejectunauthorized":false}`:
			wish("require")
		case "false", "0", "off", "no":
			wish("disable")
		case "disable", "allow", "prefer", "verify-ca", "verify-full":
			wish(value)
		default:
			return errors.New("its parameter ssl is neither true nor false: say sslmode=require, or sslmode=verify-full")
		}
	}
	if value, ok := words["requiressl"]; ok {
		delete(words, "requiressl")
		if value == "1" {
			wish("require")
		}
	}
	if value, ok := words["sslaccept"]; ok { // Prisma
		delete(words, "sslaccept")
		switch {
		case value != "strict":
			wish("require")
		case mode == "disable":
			return errors.New("sslaccept=strict does not go with sslmode=disable: leave out one of them")
		case mode != "verify-full":
			mode = "verify-full"
			if words["sslrootcert"] == "" {
				words["sslrootcert"] = "system"
			}
		}
	}
	if mode != "" {
		words["sslmode"] = mode
	}
	return nil
}

// unmet are wishes about security that the driver cannot meet, with what to say instead. fine lists
// values that ask for nothing.
var unmet = map[string]struct {
	fine    []string
	instead string
}{
	"gssencmode":       {[]string{"disable", "prefer"}, "say gssencmode=disable and sslmode=verify-full"},
	"require_auth":     {nil, "leave it out, and allow one method alone in pg_hba.conf"},
	"requirepeer":      {nil, "leave it out, and let nobody else into the socket's directory"},
	"sslcrl":           {nil, "leave it out; revoked certificates cannot be looked for"},
	"sslcrldir":        {nil, "leave it out; revoked certificates cannot be looked for"},
	"sslpassword":      {nil, "give sslkey a file without a password, readable by this server alone"},
	"sslcertmode":      {[]string{"allow"}, "leave it out: a certificate is sent where sslcert names one"},
	"channel_binding":  {[]string{"disable", "prefer", "require"}, "say require, or leave it out"},
	"replication":      {[]string{"false", "off", "no", "0"}, "leave it out: the log is read by ordinary queries"},
	"scram_client_key": {nil, "give the password"},
	"scram_server_key": {nil, "give the password"},
	"oauth_issuer":     {nil, "give a user that signs in with a password or a certificate"},
	"oauth_client_id":  {nil, "give a user that signs in with a password or a certificate"},
}

// refuseUnmet refuses rather than connect with less than was asked for. names says by
// which variable a word came.
func refuseUnmet(words, names map[string]string) error {
	for name, rule := range unmet {
		value, ok := words[name]
		if !ok || slices.Contains(rule.fine, strings.ToLower(value)) {
			continue
		}
		if variable := names[name]; variable != "" {
			return fmt.Errorf("the variable %s is set, and this server cannot do what it asks for: unset it (%s)", variable, rule.instead)
		}
		return fmt.Errorf("%s asks for something that this server cannot do: %s", name, rule.instead)
	}
	delete(words, "replication")
	return nil
}

// oneOf checks words of which the driver knows a few values only.
func oneOf(words map[string]string) error {
	tls := []string{"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
	for _, rule := range []struct {
		name   string
		values []string
	}{
		{"sslmode", []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
		{"sslnegotiation", []string{"postgres", "direct"}},
		{"target_session_attrs", []string{"any", "read-write", "primary"}},
		{"ssl_min_protocol_version", tls}, {"ssl_max_protocol_version", tls},
		{"min_protocol_version", []string{"3.0", "3.2", "latest"}}, {"max_protocol_version", []string{"3.0", "3.2", "latest"}},
	} {
		if value := words[rule.name]; value != "" && !slices.Contains(rule.values, value) {
			return fmt.Errorf("%s=%s is not among %s", rule.name, value, strings.Join(rule.values, ", "))
		}
	}
	return nil
}

// variables are libpq's environment variables and their words (PostgreSQL manual,
// "Environment Variables").
var variables = map[string]string{
	"PGHOST": "host", "PGHOSTADDR": "hostaddr", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user",
	"PGPASSWORD": "password", "PGPASSFILE": "passfile", "PGREQUIREAUTH": "require_auth", "PGCHANNELBINDING": "channel_binding",
	"PGSERVICE": "service", "PGOPTIONS": "options", "PGAPPNAME": "application_name", "PGSSLMODE": "sslmode",
	"PGREQUIRESSL": "requiressl", "PGSSLNEGOTIATION": "sslnegotiation", "PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey",
	"PGSSLCERTMODE": "sslcertmode", "PGSSLROOTCERT": "sslrootcert", "PGSSLCRL": "sslcrl", "PGSSLCRLDIR": "sslcrldir",
	"PGSSLSNI": "sslsni", "PGREQUIREPEER": "requirepeer", "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
	"PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version", "PGGSSENCMODE": "gssencmode", "PGKRBSRVNAME": "krbsrvname",
	"PGCONNECT_TIMEOUT": "connect_timeout", "PGTARGETSESSIONATTRS": "target_session_attrs",
}

// IsVariable reports whether an environment variable is one of those that libpq, and so
// lib/pq, connects by.
func IsVariable(name string) bool {
	_, ok := variables[name]
	return ok || otherVariables[name]
}

// otherVariables are those that say nothing which is left open here.
var otherVariables = set("PGSERVICEFILE", "PGSYSCONFDIR", "PGTZ", "PGDATESTYLE", "PGCLIENTENCODING", "PGGEQO", "PGREALM",
	"PGGSSLIB", "PGGSSDELEGATION", "PGSSLCOMPRESSION", "PGLOADBALANCEHOSTS", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION",
	"SSLPGMINPROTOCOLVERSION", "SSLPGMAXPROTOCOLVERSION", "PGOAUTHDEBUG", "PGLOCALEDIR")

// variablesOf returns the words that an environment says, and the name of each one's variable.
func variablesOf(environ []string) (words, names map[string]string) {
	words, names = map[string]string{}, map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if word := variables[name]; word != "" && value != "" {
			words[word], names[word] = value, name
		}
	}
	if words["requiressl"] == "1" && words["sslmode"] == "" {
		words["sslmode"] = "require"
	}
	delete(words, "requiressl")
	return words, names
}

func lookupIn(environ []string) func(string) string {
	return func(name string) string {
		for _, line := range environ {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
