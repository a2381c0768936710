-- The same bytes again, by COPY alone, without triggers.
do $$
declare
  place constant text := current_setting('data_directory') || '/bench-';
  item record;
begin
  for item in select * from (values
    ('operation', ''), ('segment', '(volume_id, segment_id, state, successor_id, born_operation_id, retired_operation_id)'),
    ('segment_change', ''), ('fragment', ''), ('region_edge', ''), ('section_segmentation', ''), ('label_tile', ''),
    ('lineage_event', '')
  ) t (relation, columns)
  loop
    execute format('copy %I %s from %L (format binary)', item.relation, item.columns, place || item.relation);
  end loop;
end $$;
