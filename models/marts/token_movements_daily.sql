/*
title: How often each token moved, and how much of it
grain: [day, chain_id, token, standard]
columns:
  day: UTC day of the movements.
  chain_id: Chain of the token.
  token: Address of the token's contract, in text.
  standard: Standard the token follows (erc20, erc721, erc1155).
  symbol: The contract's own symbol, where we asked for it.
  transfers: Movements, one a leg.
  senders: Addresses that gave, the zero address aside.
  receivers: Addresses that received, the zero address aside.
  amount: >-
    Base units or pieces moved; null where one movement of the day is so large that the sum might need more than 38
    digits, as spam tokens do on purpose.
rules: [unique(day, chain_id, token, standard), positive(transfers), nonnegative(amount?), in_set(standard, erc20, erc721, erc1155)]
metrics:
  token_transfers: {sum: transfers, by: [day, chain_id, token, standard, symbol], from: on_chain, title: Transfers by token, definition: "Movements of tokens, one a leg."}
  moving_tokens: {distinct: [chain_id, token], by: [day, chain_id, standard], from: on_chain, title: Tokens that moved, definition: Token contracts with at least one movement.}
partition: {by: day, window: 0}
*/
with sized as (
    select
        day, chain_id, token, standard,
        cast(count(*) as bigint) as transfers,
        cast(count(distinct case when from_address <> unhex('0000000000000000000000000000000000000000') then from_address end) as bigint) as senders,
        cast(count(distinct case when to_address <> unhex('0000000000000000000000000000000000000000') then to_address end) as bigint) as receivers,
        -- the largest amount that, as often as the token moved, still sums within 38 digits
        case
            when count(*) < 1000 then cast('1e34' as decimal(38,0))
            when count(*) < 1000000 then cast('1e31' as decimal(38,0))
            else cast('1e27' as decimal(38,0))
        end as safe,
        max(amount) as largest,
        cast(count(amount) as bigint) as fitting
    from core.token_movements
    group by day, chain_id, token, standard
),

summed as (
    select
        moved.day, moved.chain_id, moved.token, moved.standard, cast(sum(moved.amount) as decimal(38,0)) as amount
    from core.token_movements as moved
    join sized
        on sized.day = moved.day and sized.chain_id = moved.chain_id and sized.token = moved.token
        and sized.standard = moved.standard
    where sized.largest <= sized.safe and sized.fitting = sized.transfers
    group by moved.day, moved.chain_id, moved.token, moved.standard
)

select
    sized.day, sized.chain_id, '0x' || lower(hex(sized.token)) as token, sized.standard, tokens.symbol, sized.transfers,
    sized.senders, sized.receivers, summed.amount
from sized
left join summed
    on summed.day = sized.day and summed.chain_id = sized.chain_id and summed.token = sized.token
    and summed.standard = sized.standard
left join core.tokens as tokens
    on tokens.chain_id = sized.chain_id and tokens.token = sized.token
