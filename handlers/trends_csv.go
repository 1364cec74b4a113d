package handlers

import (
	"bytes"
	"encoding/csv"
	"net/url"
	"strings"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
)

// The forms of a table: as a spreadsheet in Brazil opens it, with semicolons and decimal commas; or
// that of RFC 4180. "" is no table.
const (
	formSheet = "sheet"
	form4180  = "rfc4180"
)

// trendForm reads in which form a request wants trends.
func trendForm(asked url.Values) (string, error) {
	table := asked.Get("csv")
	switch asked.Get("format") {
	case "", "json":
		if table != "" {
			return "", Invalid("csv", "csv is for format=csv only")
		}
		return "", nil
	case "csv":
		switch table {
		case "":
			return formSheet, nil
		case form4180:
			return form4180, nil
		}
		return "", Invalid("csv", "csv may be rfc4180: leave it out for semicolons and decimal commas")
	}
	return "", Invalid("format", "format may be json or csv")
}

// trendFile is the name under which a table is kept: of one month that month, else its dates.
func trendFile(ownerID string, q db.TrendQuery) string {
	q, _ = q.Widened()
	owner := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' {
			return r
		}
		return '_'
	}, ownerID)
	dates := q.From.Format(time.DateOnly) + "_" + q.To.AddDate(0, 0, -1).Format(time.DateOnly)
	if q.From.Day() == 1 && q.From.AddDate(0, 1, 0).Equal(q.To) {
		dates = q.From.Format("2006-01")
	}
	return "tendencias-" + owner + "-" + dates + ".csv"
}

// trendHeads are the columns of a metric, in the order of trendColumns.
var trendHeads = []string{"receita (BRL)", "reservas", "canceladas", "ocupação (%)", "estadia média (noites)", "chegadas"}

func trendColumns(s db.TrendSeries) [][]*db.Decimal {
	return [][]*db.Decimal{s.Revenue, s.Bookings, s.Cancelled, s.Occupancy, s.AverageStay, s.Arrivals}
}

// trendTable writes trends as comma-separated values in UTF-8 with a byte order mark, a line for
// each bucket, with CRLF. What is not known is empty.
func trendTable(t db.Trends, q db.TrendQuery, loc *time.Location, form string) (Content, error) {
	heads, columns := []string{"início", "fim", "completo"}, trendColumns(t.Series)
	heads = append(heads, trendHeads...)
	if t.Before != nil {
		columns = append(columns, trendColumns(*t.Before)...)
		for _, head := range trendHeads {
			heads = append(heads, head+" antes")
		}
	}
	if q.HangarID != "" {
		heads = append(heads, "hangar")
	}
	b := bytes.NewBufferString("\ufeff")
	w := csv.NewWriter(b)
	w.UseCRLF = true
	if form == formSheet {
		w.Comma = ';'
	}
	err := w.Write(heads)
	for i, bucket := range t.Buckets {
		row := []string{bucketTime(bucket.Start, q, loc), bucketTime(bucket.End, q, loc), "não"}
		if bucket.Complete {
			row[2] = "sim"
		}
		for _, column := range columns {
			row = append(row, number(column[i], form))
		}
		if q.HangarID != "" {
			row = append(row, plainText(t.Hangar))
		}
		if err == nil {
			err = w.Write(row)
		}
	}
	w.Flush()
	if err != nil {
		return Content{}, err
	}
	return NewContent(b.Bytes()), w.Error()
}

// bucketTime writes where a bucket begins or ends: a date, or, of hours, with the clock and its
// offset, since an hour may come twice.
func bucketTime(at time.Time, q db.TrendQuery, loc *time.Location) string {
	if q.Interval == db.TrendHour {
		return at.In(loc).Format("2006-01-02 15:04-07:00")
	}
	return at.In(loc).Format(time.DateOnly)
}

func number(value *db.Decimal, form string) string {
	switch {
	case value == nil:
		return ""
	case form == formSheet:
		return strings.Replace(string(*value), ".", ",", 1)
	}
	return string(*value)
}

// plainText keeps a text of the portal's from being a formula in a spreadsheet, also one that is
// written in full-width forms.
func plainText(text string) string {
	if strings.ContainsAny(firstRune(text), "=+-@\t\r\n＝＋－＠") {
		return "'" + text
	}
	return text
}

func firstRune(text string) string {
	for _, r := range text {
		return string(r)
	}
	return ""
}
