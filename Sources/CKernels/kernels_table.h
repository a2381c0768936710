// The table of one instruction set, after kernels_template.h.

const struct ck_table NAME(ck_table) = {
    .vector = VECTOR,
    .max_block = MAX_BLOCK,
    .pair = PAIR,
    .conv_rows = conv_rows,
    .block_rows = block_rows,
    .linear_rows = linear_rows,
    .mlp_rows = mlp_rows,
    .fga_rows = fga_rows,
    .attention_items = attention_items,
    .window_blocks = window_blocks,
    .attention_size = attention_size,
    .pack_spans = pack_spans,
    .global_items = global_items,
    .upsample_rows = upsample_rows,
    .max_pool_rows = max_pool_rows,
    .average_pool_rows = average_pool_rows,
    .unsure_items = unsure_items,
    .sigmoid_plane_rows = sigmoid_plane_rows,
    .sigmoid_items = sigmoid_items,
};
