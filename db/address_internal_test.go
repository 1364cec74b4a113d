package db

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stated removes from a canonical connection string what every one of ours has.
func stated(canonical string) string {
	for _, same := range []string{"application_name='hangarshare-realtime' ", "connect_timeout='2' "} {
		canonical = strings.Replace(canonical, same, "", 1)
	}
	return strings.ReplaceAll(canonical, "'", "")
}

func TestAddressUnderstands(t *testing.T) {
	t.Parallel()
	const usual = "dbname=portal host=db.example password=geheim port=5432 sslmode=require user=ana"
	const pair = "dbname=portal host=db1,db2 password=geheim port=5432,6432 sslmode=require target_session_attrs=primary user=ana"
	for name, test := range map[string]struct{ in, want string }{
		"a plain URL":                  {"postgres://ana:geheim@db.example/portal", usual},
		"postgresql":                   {"postgresql://ana:geheim@db.example:5432/portal", usual},
		"SQLAlchemy":                   {"postgresql+asyncpg://ana:geheim@db.example/portal?prepared_statement_cache_size=0&ssl=require", usual},
		"JDBC":                         {"jdbc:postgresql://db.example/portal?user=ana&password=geheim&ssl=true&ApplicationName=x&loginTimeout=3", strings.Replace("application_name=x "+usual, "", "", 1)},
		"Django":                       {"postgis://ana:geheim@db.example/portal?conn_max_age=60", usual},
		"Rails":                        {"postgres://ana:geheim@db.example/portal?pool=5&encoding=utf8&prepared_statements=false", usual},
		"node":                         {"postgres://ana:geheim@db.example/portal?ssl=true&uselibpqcompat=true", usual},
		"node, unverified":             {"postgres://ana:geheim@db.example/portal?sslmode=no-verify", usual},
		"Prisma":                       {"postgresql://ana:geheim@db.example/portal?connection_limit=5&pool_timeout=10&statement_cache_size=0&pgbouncer=true", usual},
		"Prisma's schema":              {"postgresql://ana:geheim@db.example/portal?schema=public", strings.Replace(usual, "sslmode", `search_path="public" sslmode`, 1)},
		"Prisma's odd schema":          {"postgresql://ana:geheim@db.example/portal?schema=Portal%20x", strings.Replace(usual, "sslmode", `search_path="Portal x" sslmode`, 1)},
		"JDBC's schema":                {"jdbc:postgresql://ana:geheim@db.example/portal?currentSchema=app", strings.Replace(usual, "sslmode", `search_path="app" sslmode`, 1)},
		"a search_path goes first":     {"postgresql://ana:geheim@db.example/portal?schema=a&search_path=b,public", strings.Replace(usual, "sslmode", `search_path=b,public sslmode`, 1)},
		"Prisma, strict":               {"postgresql://ana:geheim@db.example/portal?sslaccept=strict", strings.Replace(usual, "sslmode=require", "sslmode=verify-full sslrootcert=system", 1)},
		"pgx":                          {"postgres://ana:geheim@db.example/portal?pool_max_conns=10&default_query_exec_mode=exec", usual},
		"Supabase":                     {"postgres://postgres.abcd:geheim@aws-0-sa-east-1.pooler.supabase.com:6543/postgres?supa=base-pooler.x", "dbname=postgres host=aws-0-sa-east-1.pooler.supabase.com password=geheim port=6543 sslmode=require user=postgres.abcd"},
		"Neon":                         {"psql 'postgresql://ana:geheim@db.example/portal?sslmode=require&channel_binding=require'", strings.Replace(usual, "sslmode=require", "sslmode=verify-full sslrootcert=system", 1)},
		"Neon's endpoint":              {"postgresql://ana:geheim@db.example/portal?options=endpoint%3Dep-cool-1", strings.Replace(usual, "password", "options=endpoint=ep-cool-1 password", 1)},
		"Azure":                        {"postgres://ana%40server:geheim@db.example/portal", strings.Replace(usual, "user=ana", "user=ana@server", 1)},
		"Azure, not escaped":           {"postgres://ana@server:geheim@db.example/portal", strings.Replace(usual, "user=ana", "user=ana@server", 1)},
		"in quotes":                    {`"postgres://ana:geheim@db.example/portal"`, usual},
		"a # in the password":          {"postgres://ana:ge#heim@db.example/portal", strings.Replace(usual, "geheim", "ge#heim", 1)},
		"an @ in the password":         {"postgres://ana:ge@heim@db.example/portal", strings.Replace(usual, "geheim", "ge@heim", 1)},
		"escapes in the password":      {"postgres://ana:ge%25%2F%3Fh@db.example/portal", strings.Replace(usual, "geheim", "ge%/?h", 1)},
		"a + in the password":          {"postgres://db.example/portal?user=ana&password=ge+heim", strings.Replace(usual, "geheim", "ge+heim", 1)},
		"gssencmode":                   {"postgres://ana:geheim@db.example/portal?gssencmode=disable", usual},
		"keepalives":                   {"postgres://ana:geheim@db.example/portal?keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=9", usual},
		"keywords":                     {"host=db.example dbname=portal user=ana password=geheim", usual},
		"keywords in quotes":           {`host = db.example dbname='portal' user=ana password='ge\'h \\ eim'`, strings.Replace(usual, "geheim", `ge\h \\ eim`, 1)},
		"two hosts":                    {"postgres://ana:geheim@db1:5432,db2:6432/portal", pair},
		"two hosts, all parameters":    {"postgres:///portal?host=db1,db2&port=5432,6432&user=ana&password=geheim&target_session_attrs=primary&load_balance_hosts=random", pair},
		"two hosts, read-write":        {"postgres://ana:geheim@db1,db2:6432/portal?target_session_attrs=read-write", strings.Replace(strings.Replace(pair, "5432,6432", "5432,6432", 1), "=primary", "=read-write", 1)},
		"IPv6":                         {"postgres://ana:geheim@[2001:db8::1]:6432/portal", strings.Replace(usual, "host=db.example password=geheim port=5432", "host=2001:db8::1 password=geheim port=6432", 1)},
		"an address for a name":        {"host=db.example hostaddr=192.0.2.1 dbname=portal user=ana password=geheim", strings.Replace(usual, "host=db.example", "host=db.example hostaddr=192.0.2.1", 1)},
		"a socket":                     {"postgres://ana@%2Fvar%2Frun%2Fpostgresql/portal", "dbname=portal host=/var/run/postgresql port=5432 sslmode=disable user=ana"},
		"a socket as a parameter":      {"postgres://ana@/portal?host=/var/run/postgresql&sslmode=require", "dbname=portal host=/var/run/postgresql port=5432 sslmode=disable user=ana"},
		"upper case":                   {"postgres://ana:geheim@db.example/Portal", strings.Replace(usual, "portal", "Portal", 1)},
		"this machine":                 {"postgres://ana:geheim@localhost/portal", strings.Replace(strings.Replace(usual, "db.example", "localhost", 1), "require", "disable", 1)},
		"this machine, TLS wished for": {"postgres://ana:geheim@127.0.0.1/portal?sslnegotiation=direct", strings.Replace(strings.Replace(usual, "db.example", "127.0.0.1", 1), "sslmode=require", "sslmode=require sslnegotiation=direct", 1)},
		"the system's certificates":    {"postgres://ana:geheim@db.example/portal?sslrootcert=system", strings.Replace(usual, "sslmode=require", "sslmode=verify-full sslrootcert=system", 1)},
		"a setting of the session":     {"postgres://ana:geheim@db.example/portal?role=x&statement_timeout=9s", strings.Replace(usual, "port=5432 sslmode=require", "port=5432 role=x sslmode=require statement_timeout=9s", 1)},
		"settings that are all ours":   {"postgres://ana:geheim@db.example/portal?client_encoding=latin1&TimeZone=America/Recife&DateStyle=German", usual},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := parseAddress(test.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := stated(a.String()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			again, err := parseAddress(a.String(), nil)
			if err != nil || again.String() != a.String() {
				t.Errorf("read again it is %v, %v", again, err)
			}
		})
	}
}

func TestAddressRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in    string
		parts []string
	}{
		"a / in the password":          {"postgres://ana:ge/heim@db.example/portal", []string{"%2F"}},
		"a ? in the password":          {"postgres://ana:ge?heim@db.example/portal", []string{"%3F"}},
		"a % in the password":          {"postgres://ana:ge%heim@db.example/portal", []string{"password", "%25"}},
		"a bad escape in a parameter":  {"postgres://db.example/portal?user=ana&password=ge%heim", []string{"%25"}},
		"semicolons":                   {"Host=db.example;Username=ana;Password=geheim;Database=portal", []string{"semicolons", "postgres://"}},
		"no = in keywords":             {"host=db.example geheim", []string{"without ="}},
		"an open quote":                {"host=db.example password='geheim", []string{"quote is not closed"}},
		"IPv6 without brackets":        {"postgres://ana:geheim@2001:db8::1/portal", []string{"[2001:db8::1]:5432"}},
		"a port for half of the hosts": {"postgres://ana:geheim@/portal?host=a,b,c&port=1,2", []string{"3 hosts and 2 ports"}},
		"a socket among hosts":         {"postgres://ana:geheim@/portal?host=/tmp,db2", []string{"one kind only"}},
		"a standby":                    {"postgres://ana:geheim@db.example/portal?target_session_attrs=prefer-standby", []string{"target_session_attrs", "say primary"}},
		"GSSAPI":                       {"postgres://ana:geheim@db.example/portal?gssencmode=require", []string{"gssencmode=disable"}},
		"a list of revoked":            {"postgres://ana:geheim@db.example/portal?sslcrl=x.pem", []string{"sslcrl", "leave it out"}},
		"require_auth":                 {"postgres://ana:geheim@db.example/portal?require_auth=scram-sha-256", []string{"require_auth", "pg_hba.conf"}},
		"a key's password":             {"postgres://ana:x@db.example/portal?sslpassword=geheim1", []string{"sslkey"}},
		"binding without TLS":          {"postgres://ana:geheim@db.example/portal?sslmode=disable&channel_binding=require", []string{"channel_binding", "verify-full"}},
		"binding, mistyped":            {"postgres://ana:geheim@db.example/portal?channel_binding=yes", []string{"channel_binding", "say require"}},
		"strict without TLS":           {"postgres://ana:geheim@db.example/portal?sslmode=disable&sslaccept=strict", []string{"sslaccept"}},
		"the system's, weakly":         {"postgres://ana:geheim@db.example/portal?sslmode=require&sslrootcert=system", []string{"verify-full"}},
		"certificates that are gone":   {"postgres://ana:geheim@db.example/portal?sslmode=require&sslrootcert=/nowhere/ca.pem", []string{"sslrootcert", "/nowhere/ca.pem"}},
		"direct, weakly":               {"postgres://ana:geheim@db.example/portal?sslmode=prefer&sslnegotiation=direct", []string{"sslnegotiation", "require"}},
		"ssl, mistyped":                {"postgres://ana:geheim@db.example/portal?ssl=perhaps", []string{"sslmode=require"}},
		"sslmode, mistyped":            {"postgres://ana:geheim@db.example/portal?sslmode=perhaps", []string{"sslmode=perhaps", "verify-full"}},
		"an unknown service":           {"service=nowhere", []string{"nowhere", ".pg_service.conf"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseAddress(test.in, nil)
			if err == nil {
				t.Fatal("it was understood")
			}
			for _, part := range append(test.parts, "DATABASE_URL") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "heim@") || strings.Contains(redact(test.in), "geheim") {
				t.Errorf("%q, %q tell the password", err, redact(test.in))
			}
		})
	}
}

// TestAddressCompleted is about security: what the environment, a service or the string
// wishes for is never weakened.
func TestAddressCompleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	service := filepath.Join(dir, "services")
	if err := os.WriteFile(service, []byte("# ours\n[other]\nhost=other.example\n[portal]\nhost = db.example\ndbname=portal\nsslmode=verify-ca\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		in      string
		environ []string
		want    string
	}{
		"the environment's mode":   {"postgres://ana@127.0.0.1/portal", []string{"PGSSLMODE=verify-full"}, "dbname=portal host=127.0.0.1 port=5432 sslmode=verify-full user=ana"},
		"the string's mode":        {"postgres://ana@127.0.0.1/portal?sslmode=verify-ca", []string{"PGSSLMODE=disable"}, "dbname=portal host=127.0.0.1 port=5432 sslmode=verify-ca user=ana"},
		"its certificates":         {"postgres://ana@127.0.0.1/portal", []string{"PGSSLROOTCERT=system"}, "dbname=portal host=127.0.0.1 port=5432 sslmode=verify-full sslrootcert=system user=ana"},
		"its binding":              {"postgres://ana@127.0.0.1/portal", []string{"PGCHANNELBINDING=require"}, "dbname=portal host=127.0.0.1 port=5432 sslmode=verify-full sslrootcert=system user=ana"},
		"its old word":             {"postgres://ana@127.0.0.1/portal", []string{"PGREQUIRESSL=1"}, "dbname=portal host=127.0.0.1 port=5432 sslmode=require user=ana"},
		"what the string lacks":    {"postgres:///portal", []string{"PGHOST=db.example", "PGUSER=ana", "PGPASSWORD=p", "PGPORT=6432", "PGHOSTADDR=192.0.2.7"}, "dbname=portal host=db.example hostaddr=192.0.2.7 password=p port=6432 sslmode=require user=ana"},
		"another host's address":   {"postgres://ana@db.example/portal", []string{"PGHOSTADDR=192.0.2.7"}, "dbname=portal host=db.example port=5432 sslmode=require user=ana"},
		"a service":                {"service=portal user=ana", []string{"PGSERVICEFILE=" + service, "PGHOST=elsewhere", "PGSSLMODE=disable"}, "dbname=portal host=db.example port=5432 sslmode=verify-ca user=ana"},
		"a service in a URL":       {"postgres://ana@/mine?service=portal", []string{"PGSERVICEFILE=" + service}, "dbname=mine host=db.example port=5432 sslmode=verify-ca user=ana"},
		"a service of the machine": {"postgres://ana@?service=portal", []string{"PGSERVICEFILE=" + filepath.Join(dir, "none"), "PGSERVICE=other"}, ""},
		"harmless variables":       {"postgres://ana@db.example/portal", []string{"PGGSSENCMODE=disable", "PGSSLCERTMODE=allow", "PGSYSCONFDIR=/etc", "PGTZ=UTC"}, "dbname=portal host=db.example port=5432 sslmode=require user=ana"},
		"a wish that is not met":   {"postgres://ana@db.example/portal", []string{"PGREQUIREPEER=postgres"}, ""},
		"a wish that is repeated":  {"postgres://ana@db.example/portal?gssencmode=prefer", []string{"PGGSSENCMODE=require"}, "dbname=portal host=db.example port=5432 sslmode=require user=ana"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Complete(test.in, test.environ)
			if test.want == "" {
				if err == nil {
					t.Errorf("got %s", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got = stated(got); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	t.Run("a variable is named", func(t *testing.T) {
		_, err := Complete("postgres://ana@db.example/portal", []string{"PGREQUIREPEER=postgres"})
		if err == nil || !strings.Contains(err.Error(), "PGREQUIREPEER") {
			t.Errorf("got %v", err)
		}
	})
}
