"""Every URL of the image service."""

from __future__ import annotations

from kilonova.image.api import actions, data, images, info, members, schemas, tags, tasks, tickets, versions
from kilonova.image.api.attributes import BODY
from kilonova.image.api.fields import IMAGE, MEMBER, TASK
from kilonova.image.model.image import MEMBER_STATUSES
from kilonova.kernel.web import Route

_OCTETS = ("application/octet-stream",)
_MEMBER = {
    "type": "object",
    "properties": {"member": {"type": "string", "minLength": 1, "maxLength": 255}},
    "required": ["member"],
}
_STATUS = {
    "type": "object",
    "properties": {"status": {"type": "string", "enum": list(MEMBER_STATUSES)}},
    "required": ["status"],
}
_IMPORT = {
    "type": "object",
    "properties": {
        "method": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
        "stores": {"type": "array", "items": {"type": "string"}},
        "all_stores": {"type": "boolean"},
        "all_stores_must_succeed": {"type": "boolean"},
    },
    "required": ["method"],
}

# fmt: off
# ruff: noqa: E501
ROUTES = (
    Route("GET", "/", versions.choose_version, None, "Choose a version", public=True, status=300),
    Route("GET", "/versions", versions.list_versions, None, "List versions", public=True),
    Route("GET", "/v2", versions.list_versions, None, "List versions", public=True),
    Route("GET", "/v2/", versions.list_versions, None, "List versions", public=True),
    Route("GET", "/versions/", versions.list_versions, None, "List versions", public=True),
    Route("GET", "/v2/images", images.list_images, "get_images", "List images"),
    Route("POST", "/v2/images", images.create_image, "add_image", "Create an image", body=BODY, status=201, answers=IMAGE, checks_target=True),
    Route("GET", "/v2/images/{image_id}", images.show_image, "get_image", "Show an image", answers=IMAGE, checks_target=True),
    Route("PATCH", "/v2/images/{image_id}", images.update_image, "modify_image", "Change an image", body={"type": "array"}, answers=IMAGE, checks_target=True, content_types=images.PATCH_TYPES),
    Route("DELETE", "/v2/images/{image_id}", images.delete_image, "delete_image", "Delete an image", status=204, checks_target=True),
    Route("PUT", "/v2/images/{image_id}/file", data.upload_data, "upload_image", "Upload data", status=204, checks_target=True, raw_body=True, content_types=_OCTETS),
    Route("GET", "/v2/images/{image_id}/file", data.download_data, "download_image", "Download data", checks_target=True),
    Route("POST", "/v2/images/{image_id}/tickets", tickets.issue_ticket, "lend_image", "Let a host fetch the data for a while", status=201, checks_target=True),
    Route("GET", "/v2/lent/{image_id}/file", tickets.download_lent, None, "Download data with a ticket", public=True),
    Route("PUT", "/v2/images/{image_id}/stage", data.stage_data, "modify_image", "Stage data to import", status=204, checks_target=True, raw_body=True, content_types=_OCTETS),
    Route("POST", "/v2/images/{image_id}/import", data.import_image, "modify_image", "Import staged data", body=_IMPORT, status=202, checks_target=True),
    Route("POST", "/v2/images/{image_id}/actions/deactivate", actions.deactivate_image, "deactivate", "Deactivate an image", status=204, checks_target=True),
    Route("POST", "/v2/images/{image_id}/actions/reactivate", actions.reactivate_image, "reactivate", "Reactivate an image", status=204, checks_target=True),
    Route("PUT", "/v2/images/{image_id}/tags/{tag}", tags.add_tag, "modify_image", "Add a tag", status=204, checks_target=True),
    Route("DELETE", "/v2/images/{image_id}/tags/{tag}", tags.remove_tag, "modify_image", "Remove a tag", status=204, checks_target=True),
    Route("GET", "/v2/images/{image_id}/tasks", tasks.list_tasks_of_image, "get_image", "List the imports of an image", checks_target=True),
    Route("GET", "/v2/tasks", tasks.list_tasks, "tasks_api_access", "List tasks"),
    Route("GET", "/v2/tasks/{task_id}", tasks.show_task, "tasks_api_access", "Show a task", answers=TASK),
    Route("GET", "/v2/images/{image_id}/members", members.list_members, "get_members", "List members", checks_target=True),
    Route("POST", "/v2/images/{image_id}/members", members.add_member, "add_member", "Add a member", body=_MEMBER, answers=MEMBER, checks_target=True),
    Route("GET", "/v2/images/{image_id}/members/{member_id}", members.show_member, "get_member", "Show a member", answers=MEMBER, checks_target=True),
    Route("PUT", "/v2/images/{image_id}/members/{member_id}", members.update_member, "modify_member", "Accept or reject a shared image", body=_STATUS, answers=MEMBER, checks_target=True),
    Route("DELETE", "/v2/images/{image_id}/members/{member_id}", members.remove_member, "delete_member", "Remove a member", status=204, checks_target=True),
    Route("DELETE", "/v2/stores/{store}/{image_id}", info.delete_from_store, "delete_image_location", "Delete data from a store", status=204, checks_target=True),
    Route("GET", "/v2/info/stores", info.list_stores, "get_images", "List stores"),
    Route("GET", "/v2/info/stores/detail", info.list_stores_in_detail, "stores_info_detail", "List stores in detail"),
    Route("GET", "/v2/info/import", info.show_import, "get_images", "List import methods"),
    Route("GET", "/v2/info/usage", info.show_usage, "get_images", "Show use of quotas"),
    Route("GET", "/v2/schemas/image", schemas.show_image_schema, "get_images", "Schema of an image"),
    Route("GET", "/v2/schemas/images", schemas.show_images_schema, "get_images", "Schema of a page of images"),
    Route("GET", "/v2/schemas/member", schemas.show_member_schema, "get_images", "Schema of a member"),
    Route("GET", "/v2/schemas/task", schemas.show_task_schema, "get_images", "Schema of a task"),
    Route("GET", "/v2/schemas/tasks", schemas.show_tasks_schema, "get_images", "Schema of a page of tasks"),
    Route("GET", "/v2/schemas/members", schemas.show_members_schema, "get_images", "Schema of a list of members"),
)
