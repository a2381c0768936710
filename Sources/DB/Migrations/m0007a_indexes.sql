-- A segment may have thousands of corrections; these find the few that a commit or an edit has to heed.
create index correction_lock on correction (volume_id, segment_a)
  where decision = 'lock' and until_operation_id is null;
create index correction_separate on correction (volume_id, segment_a, segment_b)
  where decision = 'separate' and until_operation_id is null;

-- Edges of a section lie together, as a commit wrote them. An index of page ranges costs a commit nothing.
drop index region_edge_section;
create index region_edge_section on region_edge using brin (volume_id, z) with (autosummarize = on);

-- What a segment took in, without the sections that it grew into.
create index lineage_event_joined on lineage_event (segment_id, volume_id, lineage_id) where event in ('merged', 'revised');
