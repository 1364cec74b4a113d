package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"
)

// ourSchema is where everything of ours is, unless another schema is named. All SQL of this program
// is written with this name, also that of migrations and functions; the connections of a database
// with another one put that in its place. The name is also that of our notification channels, and
// the first part of the names of our triggers and settings.
const ourSchema = "realtime"

// schemaWord is the keyword of our connection strings that names another schema. No user
// writes it: InSchema does.
const schemaWord = "hangarshare.schema"

// schemaForm are the names that PostgreSQL takes without quotes, as most names of schemas
// in settings of its tools must be. They are short enough for what we append: an
// identifier has 63 bytes.
var schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// InSchema returns a connection string for a database in which everything of ours is in
// the schema of a name.
func InSchema(databaseURL, schema string) (string, error) {
	if err := CheckSchema(schema); err != nil {
		return "", err
	}
	a, err := parseAddress(databaseURL, nil)
	if err != nil {
		return "", err
	}
	if a.words[schemaWord] = schema; schema == ourSchema {
		delete(a.words, schemaWord)
	}
	return a.String(), nil
}

// CheckSchema returns an error that says what to do if a name cannot be that of our schema.
func CheckSchema(schema string) error {
	switch {
	case !schemaForm.MatchString(schema):
		return misconfigured{text: fmt.Sprintf("SCHEMA is %q: it must be 1 to 40 lower-case letters (a to z), digits and underscores, and begin with no digit", schema)}
	case strings.HasPrefix(schema, "pg_"), schema == "information_schema":
		return misconfigured{text: fmt.Sprintf("SCHEMA is %q, a name that PostgreSQL keeps for itself: choose another", schema)}
	case schema == "public":
		return misconfigured{text: `SCHEMA is "public", where others keep their tables: choose a schema that is ours alone, like hangarshare`}
	}
	return nil
}

// errReserved says that a schema has the name of a word of SQL.
var errReserved = errors.New("SCHEMA is a word of SQL in this PostgreSQL: choose another name")

// schema returns where everything of ours is.
func (a *address) schema() string {
	if schema := a.words[schemaWord]; schema != "" {
		return schema
	}
	return ourSchema
}

// SchemaOf returns where everything of ours is in the database behind a pool.
func SchemaOf(pool *sqlx.DB) string {
	if d, ok := pool.Driver().(namedDriver); ok {
		return d.schema
	}
	return ourSchema
}

// namedDriver is a driver that knows where everything of ours is.
type namedDriver struct {
	driver.Driver
	schema string
}

// renamed returns SQL of ours with the name of another schema. A name in double quotes is not ours.
func renamed(query, schema string) string {
	at := strings.Index(query, ourSchema)
	if at < 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + len(query)/16)
	for ; at >= 0; at = strings.Index(query, ourSchema) {
		end := at + len(ourSchema)
		b.WriteString(query[:at])
		if at > 0 && (query[at-1] == '"' || inName(query[at-1])) || end < len(query) && query[end] != '_' && inName(query[end]) {
			b.WriteString(ourSchema)
		} else {
			b.WriteString(schema)
		}
		query = query[end:]
	}
	b.WriteString(query)
	return b.String()
}

func inName(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// foreignSchema writes the name of a portal's table, which is of the form schema.table, so that it
// is nobody else's for renamed.
func foreignSchema(table string) string {
	if rest, ok := strings.CutPrefix(table, ourSchema+"."); ok {
		return `"` + ourSchema + `".` + rest
	}
	return table
}

// renaming is a connection to a database in which our schema has another name.
type renaming struct {
	connection
	schema string
}

// inSchema returns a connection on which SQL of ours means another schema.
func inSchema(conn connection, schema string) driver.Conn {
	if schema == ourSchema {
		return conn
	}
	return renaming{conn, schema}
}

// Prepare implements driver.Conn.
func (r renaming) Prepare(query string) (driver.Stmt, error) {
	return r.connection.Prepare(renamed(query, r.schema))
}

// PrepareContext implements driver.ConnPrepareContext.
func (r renaming) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return r.connection.PrepareContext(ctx, renamed(query, r.schema))
}

// ExecContext implements driver.ExecerContext.
func (r renaming) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return r.connection.ExecContext(ctx, renamed(query, r.schema), args)
}

// QueryContext implements driver.QueryerContext.
func (r renaming) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return r.connection.QueryContext(ctx, renamed(query, r.schema), args)
}

// LockKey returns the key of an advisory lock in the database behind a pool: each schema
// has its own.
func LockKey(lock int64, schema string) int64 {
	if schema == ourSchema {
		return lock
	}
	hash := fnv.New32a()
	hash.Write([]byte(schema))
	return int64(hash.Sum32()>>1|1<<30)<<32 | lock
}
