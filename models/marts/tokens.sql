/*
title: Tokens, by address in text
grain: [chain_id, token]
columns:
  chain_id: Chain of the token.
  token: Address of the token's contract, in text.
  symbol: The contract's own symbol; the address where it has none.
  name: The contract's own name, where it has one.
  decimals: Decimals the contract states; null where it states none.
  is_partner: True where the token rewards tasks on behalf of a partner.
rules: [unique(chain_id, token), not_null(symbol)]
metrics:
  tokens: {distinct: [chain_id, token], by: [chain_id, is_partner], title: Tokens, definition: Token contracts that call themselves by a symbol or decimals., from: on_chain}
*/
select
    chain_id, '0x' || lower(hex(token)) as token, coalesce(symbol, '0x' || lower(hex(token))) as symbol, name, decimals,
    is_partner
from core.tokens
