package db

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed schema/functions/*.sql
var functionFiles embed.FS

// functionsVersion counts the versions of schema/functions that were released: it is raised by the
// first change after a release. A program leaves the functions of a higher version alone.
const functionsVersion = 4

// The names that our files give to what they make.
var (
	functionNames = regexp.MustCompile(`CREATE OR REPLACE (?:FUNCTION|PROCEDURE) realtime\.(\w+)\(`)
	triggerNames  = regexp.MustCompile(`define_trigger_function\('(\w+)'`)
	relationNames = regexp.MustCompile(`CREATE (TABLE|SEQUENCE|UNLOGGED TABLE) realtime\.(\w+)`)
)

// formerFunctions are the signatures of earlier versions that no file makes any more, or that were
// made with other names or another result: CREATE OR REPLACE does not change those.
var formerFunctions = []string{
	"attach_bookings(regclass,text,text)", "attach_listings(regclass)", "attach_owners(regclass)", "attach_payouts(regclass,regclass)",
	"attach_accounts()", "booking_json(text,text,text,text)", "payment_json(text,text)", "booking_joins(text,text,text)",
	"payment_notes(regclass,text)", "watch()",
}

// dropFormer drops what is there of the routines whose signatures are $1.
const dropFormer = `SELECT 'DROP ROUTINE ' || r::text FROM (
	SELECT pg_catalog.to_regprocedure('realtime.' || signature) AS r FROM pg_catalog.unnest($1::text[]) AS signature) former WHERE r IS NOT NULL`

// functionSet is what schema/functions holds: the text of all files, the names of the functions in
// it, those of the trigger functions that attach() writes, and the SHA-256 of the text.
type functionSet struct {
	text      string
	names     []string
	generated []string
	hash      string
}

func readFunctions() (functionSet, error) {
	files, err := fs.Glob(functionFiles, "schema/functions/*.sql")
	if err != nil {
		return functionSet{}, fmt.Errorf("list the embedded functions: %w", err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := functionFiles.ReadFile(name)
		if err != nil {
			return functionSet{}, fmt.Errorf("read the embedded functions: %w", err)
		}
		all.Write(text)
	}
	set := functionSet{text: all.String()}
	for _, match := range functionNames.FindAllStringSubmatch(set.text, -1) {
		set.names = append(set.names, match[1])
	}
	for _, match := range triggerNames.FindAllStringSubmatch(set.text, -1) {
		set.generated = append(set.generated, match[1])
	}
	sum := sha256.Sum256([]byte(set.text))
	set.hash = hex.EncodeToString(sum[:])
	return set, nil
}

// ownRelations returns the names of the tables and of the sequences that our migrations make.
func ownRelations() (tables, sequences []string, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, nil, fmt.Errorf("list the embedded migrations: %w", err)
	}
	tables = []string{"goose_db_version"}
	for _, name := range files {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("read the embedded migrations: %w", err)
		}
		for _, match := range relationNames.FindAllStringSubmatch(string(text), -1) {
			if match[1] == "SEQUENCE" {
				sequences = append(sequences, match[2])
			} else {
				tables = append(tables, match[2])
			}
		}
	}
	return tables, sequences, nil
}

// liveFunctions is an expression for what PostgreSQL holds of the functions named in $1.
const liveFunctions = `(SELECT coalesce(encode(sha256(convert_to(pg_catalog.string_agg(
		pg_catalog.pg_get_functiondef(p.oid), '' ORDER BY p.proname, p.oid), 'UTF8')), 'hex'), '')
	FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'realtime'::regnamespace::oid AND p.proname = ANY ($1))`

// installedFunctions is what the database says of the functions in it.
type installedFunctions struct {
	Version   int    `db:"version"`
	Source    string `db:"source"`
	Installed string `db:"installed"`
	Live      string `db:"live"`
}

func readInstalledFunctions(ctx context.Context, q sqlx.QueryerContext, set functionSet) (found installedFunctions, err error) {
	err = sqlx.GetContext(ctx, q, &found, `SELECT version, source, installed, `+liveFunctions+` AS live FROM realtime.functions`, pq.Array(set.names))
	if err != nil {
		return found, fmt.Errorf("look at the functions that are installed: %w", Explain(err))
	}
	return found, nil
}

// current reports whether the functions of the database serve this program: they are its
// own, or those of a newer one.
func (f installedFunctions) current(set functionSet) bool {
	return f.Version > functionsVersion || f.Version == functionsVersion && f.Source == set.hash && f.Installed == f.Live
}

// installFunctions puts schema/functions into the database, where it holds others, and
// reports whether it did.
func (m *migrator) installFunctions(ctx context.Context) (replaced bool, err error) {
	set, err := readFunctions()
	if err != nil {
		return false, err
	}
	found, err := readInstalledFunctions(ctx, m.pool, set)
	if err != nil {
		return false, err
	}
	if found.current(set) {
		if found.Version > functionsVersion {
			m.log.Info("the functions in the database are those of a newer version, and are left alone")
		}
		return false, nil
	}
	tx, err := m.pool.BeginTxx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("replace functions: %w", Explain(err))
	}
	defer tx.Rollback()
	if err := replaceFunctions(ctx, tx, set); err != nil {
		return false, fmt.Errorf("replace functions: %w", hint(err))
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("replace functions: %w", hint(err))
	}
	m.log.Info("functions replaced", "version", functionsVersion)
	return true, nil
}

// replaceFunctions runs under a search path in which nobody else can make anything.
func replaceFunctions(ctx context.Context, tx *sqlx.Tx, set functionSet) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL check_function_bodies = off`); err != nil {
		return err
	}
	var drops []string
	if err := tx.SelectContext(ctx, &drops, dropFormer, pq.Array(formerFunctions)); err != nil {
		return err
	}
	// Roles that serve without migrating keep their rights on what is made anew.
	for _, statement := range append(drops, set.text, `SELECT realtime.share_rights()`) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE realtime.functions SET version = $2, source = $3, installed = `+liveFunctions,
		pq.Array(set.names), functionsVersion, set.hash)
	return err
}
