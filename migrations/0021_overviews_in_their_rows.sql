-- Blocks stand whole in their rows. Those whose readings could not be packed are 2 kB and a little more, from which PostgreSQL keeps long
-- values apart: a second look-up for each, and pages of another table that weigh a tenth where overviews are few. Two rows of 4 kB fill a page.
-- What is apart already stays there, and is read as it was.
-- The release before may serve beside this: yes. It writes and reads the same columns.
alter table overviews set (toast_tuple_target = 4080);
