-- Commits write edges in the order of their later ends, and the primary key has that order, so that it grows at its end only; it
-- also finds the edges of a fragment with earlier ones. Those with later ones are found by their first end.
alter table region_edge drop constraint region_edge_pkey;
drop index region_edge_b;
alter table region_edge add primary key (volume_id, fragment_b, fragment_a);
create index region_edge_a on region_edge (volume_id, fragment_a);
