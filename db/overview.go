package db

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// GrowthBasis says what growthPercentage compares.
type GrowthBasis string

// What growthPercentage compares: two weeks; nothing, because neither week had revenue;
// or a week with one that had none.
const (
	GrowthCompared GrowthBasis = "compared"
	GrowthNone     GrowthBasis = "none"
	GrowthNew      GrowthBasis = "new"
)

// Spaces are the numerator and the denominator of occupancyRate.
type Spaces struct {
	Occupied int64 `json:"occupied" db:"occupied"`
	Offered  int64 `json:"offered" db:"offered"`
}

// Overview is what a page shows beside RealTimeMetrics.
//
// ListingsRevision is opaque, the same on every server for the same listings, and another one
// whenever anything that Listings returns has changed, by rows or because an hour came.
type Overview struct {
	ListingsRevision string      `json:"listingsRevision"`
	Spaces           Spaces      `json:"spaces"`
	GrowthBasis      GrowthBasis `json:"growthBasis"`
}

// Dashboard is an owner's state: all that is shown live and is no event.
type Dashboard struct {
	Metrics  RealTimeMetrics
	Overview Overview
}

// Dashboard computes the state of an owner at the instant now.
func (s *Store) Dashboard(ctx context.Context, ownerID string, now time.Time) (Dashboard, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	row, err := s.metricsRow(ctx, s.metricsArgs(ownerID, now))
	if err != nil {
		return Dashboard{}, fmt.Errorf("compute metrics of owner %s: %w", ownerID, err)
	}
	listings, err := s.Listings(ctx, ownerID, now)
	if err != nil {
		return Dashboard{}, err
	}
	revision, err := listingsRevision(listings)
	if err != nil {
		return Dashboard{}, err
	}
	return Dashboard{row.metrics(now, s.loc), Overview{ListingsRevision: revision, Spaces: row.Spaces, GrowthBasis: row.GrowthBasis}}, nil
}

// listingsRevision names the contents of a list of hangars.
func listingsRevision(listings []Listing) (string, error) {
	text, err := json.Marshal(listings)
	if err != nil {
		return "", fmt.Errorf("encode listings: %w", err)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:12]), nil
}
