package providers_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/surehook/surehook/providers"
)

func TestAnyOfTheSecretsIsAccepted(t *testing.T) {
	s := providers.Secrets{"new", "", "old"}
	for _, right := range []string{"new", "old"} {
		require.NoError(t, s.Accept(func(secret string) bool { return secret == right }))
	}
}

func TestAnEmptySecretIsNotAskedAbout(t *testing.T) {
	err := providers.Secrets{""}.Accept(func(string) bool { return true })
	require.ErrorIs(t, err, providers.ErrUnauthenticated)
	require.False(t, providers.Secrets{""}.Contain(""))
}

func TestTheOperatorIsToldHowManySecretsWereTried(t *testing.T) {
	never := func(string) bool { return false }
	require.EqualError(t, providers.Secrets{"a"}.Accept(never), "not authentic: the signature does not fit the secret")
	require.EqualError(t, providers.Secrets{"a", "b"}.Accept(never), "not authentic: the signature fits none of the 2 secrets")
	require.EqualError(t, providers.Secrets{}.Accept(never), "not authentic: the signature fits none of the 0 secrets")
}

func TestAKeyThatIsOfNoUseIsNamedByItsPlace(t *testing.T) {
	isHex := func(secret string) (bool, error) {
		if secret == "zz" {
			return false, errors.New("is not hex")
		}
		return secret == "aa", nil
	}
	require.EqualError(t, providers.Secrets{"00", "", "zz"}.AcceptKey(isHex),
		"not authentic: the signature fits none of the 3 secrets: secret 3 is not hex")
	require.NoError(t, providers.Secrets{"zz", "aa"}.AcceptKey(isHex), "it does not stand in the way of a good one")
}

func TestASecretIsContainedOnlyAsAWhole(t *testing.T) {
	s := providers.Secrets{"first secret", "", "second secret"}
	for _, given := range s {
		require.Equal(t, given != "", s.Contain(given), given)
	}
	for _, given := range []string{"first", "first secret ", "First secret", "secret"} {
		require.False(t, s.Contain(given), given)
	}
}

func TestARequestIsFreshWithinTheToleranceOfItsReceipt(t *testing.T) {
	signed := time.Unix(1767323045, 0)
	for offset, fresh := range map[time.Duration]bool{
		0: true, 5 * time.Minute: true, -5 * time.Minute: true,
		5*time.Minute + 1: false, -5*time.Minute - 1: false, 100 * 365 * 24 * time.Hour: false,
	} {
		err := providers.Request{ReceivedAt: signed.Add(offset)}.CheckAge(signed, 5*time.Minute)
		require.Equal(t, fresh, err == nil, offset)
		require.Equal(t, !fresh, errors.Is(err, providers.ErrStale), offset)
	}
	// Between these two lie more years than a Duration has room for.
	require.ErrorIs(t, providers.Request{ReceivedAt: signed}.CheckAge(time.Time{}, 5*time.Minute), providers.ErrStale)
}

func TestAHeaderMustBeThereOnce(t *testing.T) {
	h := http.Header{"X-One": {"value"}, "X-Empty": {""}, "X-Two": {"value", "value"}}
	value, err := providers.HeaderOnce(h, "x-one")
	require.NoError(t, err)
	require.Equal(t, "value", value)
	value, err = providers.HeaderOnce(h, "X-Empty")
	require.NoError(t, err)
	require.Empty(t, value)
	_, err = providers.HeaderOnce(h, "X-None")
	require.EqualError(t, err, "the header X-None is missing")
	_, err = providers.HeaderOnce(h, "X-Two")
	require.EqualError(t, err, "2 X-Two headers: want one")
}
