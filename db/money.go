package db

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// money is an exact amount. Nearly all are whole hundredths and small: those are an integer, and
// whatever else there is a fraction beside it.
type money struct {
	cents int64
	odd   *big.Rat // nil is 0
}

// smallCents bounds what is an integer: a thousand of them can be added.
const smallCents = 1_000_000_000_000_000

// parseMoney reads an amount as PostgreSQL writes it.
func parseMoney(text string) (m money, err error) {
	whole, decimals, _ := strings.Cut(text, ".")
	if rest := strings.TrimRight(decimals, "0"); len(rest) <= 2 && len(whole) <= 13 {
		cents, err := strconv.ParseInt(whole+(rest + "00")[:2], 10, 64)
		if err == nil && -smallCents < cents && cents < smallCents {
			return money{cents: cents}, nil
		}
	}
	odd, ok := new(big.Rat).SetString(text)
	if !ok {
		return m, fmt.Errorf("%q is no amount", text)
	}
	return money{odd: odd}, nil
}

// add adds another amount as often as times says.
func (m *money) add(other money, times int64) {
	m.cents += times * other.cents
	if other.odd != nil {
		change := new(big.Rat).Mul(other.odd, big.NewRat(times, 1))
		if m.odd != nil {
			change.Add(change, m.odd)
		}
		m.odd = change
	}
}

func (m money) rat() *big.Rat {
	all := big.NewRat(m.cents, 100)
	if m.odd != nil {
		all.Add(all, m.odd)
	}
	return all
}

// String writes the amount with two decimals.
func (m money) String() string {
	if m.odd != nil {
		return m.rat().FloatString(2)
	}
	sign, cents := "", m.cents
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

// tenths writes a share, times so many, with one decimal, halves rounded away from 0.
func tenths(n, of, times int64) string {
	const large = 1 << 49
	if n < 0 || n > large || of > large {
		return new(big.Rat).Mul(big.NewRat(n, of), big.NewRat(times, 1)).FloatString(1)
	}
	rounded := (n*times*20 + of) / (2 * of)
	return strconv.FormatInt(rounded/10, 10) + "." + strconv.FormatInt(rounded%10, 10)
}
