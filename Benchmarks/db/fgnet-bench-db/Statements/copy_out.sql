-- What the last operation wrote, a final section, into files of the server. Rows are found by indexes, so that the tables are not
-- read from end to end. The file names are quoted by the server.
do $$
declare
  made constant operation := (select o from operation o order by operation_id desc limit 1);
  first constant bigint := (made.z + 131072)::bigint << 45;
  change constant bigint := (select max(change_id) from segment_change) - 50000;
  place constant text := current_setting('data_directory') || '/bench-';
  item record;
begin
  for item in select * from (values
    ('operation', '*', 'operation_id >= ' || made.operation_id), ('fragment', '*', 'fragment_id >= ' || first),
    ('region_edge', '*', 'fragment_b >= ' || first), ('lineage_event', '*', 'operation_id = ' || made.operation_id),
    ('section_segmentation', '*', 'z = ' || made.z), ('label_tile', '*', 'z = ' || made.z),
    ('segment_change', '*', 'change_id > ' || change || ' and operation_id = ' || made.operation_id),
    ('segment', 'volume_id, segment_id, state, successor_id, born_operation_id, retired_operation_id', 'segment_id >= ' || first)
  ) t (relation, columns, rows)
  loop
    execute format('copy (select %s from %I where volume_id = 1 and %s order by ctid) to %L (format binary)', item.columns,
      item.relation, item.rows, place || item.relation);
  end loop;
end $$;
