/*
title: Items whose right label is known
grain: [task_id, item_id]
columns:
  task_id: The task of the item.
  item_id: The item.
  label: Its right label.
  updated_at: When the platform last changed it.
rules: [unique(task_id, item_id), not_null(label)]
*/
select task_id, item_id, label, updated_at
from raw.platform_gold
qualify row_number() over (partition by task_id, item_id order by updated_at desc nulls last) = 1
