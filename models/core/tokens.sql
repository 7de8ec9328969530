/*
title: Tokens seen as money, and what they call themselves
grain: [chain_id, token]
columns:
  chain_id: Chain of the token.
  token: Address of the token's contract.
  symbol: The contract's own symbol, where it has one.
  name: The contract's own name, where it has one.
  decimals: Decimals the contract states; null where it states none.
  is_partner: True where the token rewards tasks on behalf of a partner, so it is owed and paid apart from the others.
rules: [unique(chain_id, token), not_null(is_partner), octets(token, 20), nonnegative(decimals?)]
*/
select
    chain_id,
    address as token,
    symbol,
    name,
    decimals,
    coalesce(role, '') = 'partner_token' as is_partner
from raw.tokens
