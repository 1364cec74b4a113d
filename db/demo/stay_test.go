package demo

import (
	"testing"
	"time"
)

func TestFits(t *testing.T) {
	t.Parallel()
	hour := func(h int) time.Time { return time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC) }
	others := []stay{
		{checkIn: hour(2), checkOut: hour(6)},
		{checkIn: hour(4), checkOut: hour(8)},
	}
	for _, test := range []struct {
		in, out, spaces int
		want            bool
	}{
		{0, 2, 1, true},   // ends as the first begins
		{0, 3, 1, false},  // overlaps one
		{8, 9, 1, true},   // begins as the last ends
		{0, 4, 2, true},   // beside one
		{0, 5, 2, false},  // would meet two
		{5, 6, 2, false},  // within both
		{6, 9, 2, true},   // after the first, beside the second
		{0, 10, 3, true},  // around both
		{0, 10, 2, false}, // around both, too small
	} {
		if got := fits(others, hour(test.in), hour(test.out), test.spaces); got != test.want {
			t.Errorf("from %d to %d in %d spaces: %t, want %t", test.in, test.out, test.spaces, got, test.want)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rate   int64
		nights int
		want   price
	}{
		{61000, 1, price{1, 61000, 6100, 67100}},
		{33333, 2, price{2, 66666, 6667, 73333}},
		{10000, 7, price{7, 63000, 6300, 69300}},
	} {
		if got := quote(test.rate, test.nights); got != test.want {
			t.Errorf("%d nights at %d: %+v, want %+v", test.nights, test.rate, got, test.want)
		}
	}
}

func TestNightsBetween(t *testing.T) {
	t.Parallel()
	loc, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	evening := time.Date(2018, 11, 3, 22, 0, 0, 0, loc) // clocks went forward at midnight
	for hours, want := range map[int]int{1: 1, 24: 1, 25: 2, 48: 2, 49: 3} {
		if got := nightsBetween(evening, evening.Add(time.Duration(hours)*time.Hour), loc); got != want {
			t.Errorf("%d hours: %d nights, want %d", hours, got, want)
		}
	}
}
