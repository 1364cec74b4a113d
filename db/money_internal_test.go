package db

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestMoneyIsExact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0": "0.00", "12": "12.00", "-0.05": "-0.05", "-1.5": "-1.50", "1.005": "1.01", "-1.005": "-1.01", "0.10000": "0.10",
		"99999999999999.99": "99999999999999.99", "123456789012345678901234567890.5": "123456789012345678901234567890.50"} {
		if m, err := parseMoney(text); err != nil || m.String() != want {
			t.Errorf("%s is %s, %v, want %s", text, m, err, want)
		}
	}
	if _, err := parseMoney("NaN"); err == nil {
		t.Error("NaN is an amount")
	}
	sum := money{}
	for _, text := range []string{"0.335", "1.10", "0.335", "123456789012345678901.00"} {
		m, err := parseMoney(text)
		if err != nil {
			t.Fatal(err)
		}
		sum.add(m, 1)
		if text == "123456789012345678901.00" {
			sum.add(m, -1)
		}
	}
	if sum.String() != "1.77" {
		t.Errorf("the sum is %s", sum)
	}
	for range 10_000 {
		n, of, times := rand.Int64N(1<<52), 1+rand.Int64N(1<<52), int64(100)
		if rand.IntN(2) == 0 {
			n, of = rand.Int64N(500), 1+rand.Int64N(500)
		}
		if got, want := tenths(n, of, times), new(big.Rat).Mul(big.NewRat(n, of), big.NewRat(times, 1)).FloatString(1); got != want {
			t.Fatalf("%d of %d are %s, want %s", n, of, got, want)
		}
	}
}
